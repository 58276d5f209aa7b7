"""The index of damaged shards, made again from their tars; what only the source knew is kept if it can be."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq

from pipeline.base.errors import NeuronsError
from pipeline.base.progress import ProgressCallback
from pipeline.base.storage import Store
from pipeline.sources.copies.duplicates import find_duplicates
from pipeline.sources.index import index_shard
from pipeline.sources.ingest import lock_dataset
from pipeline.sources.layouts.img2dataset import read_notes
from pipeline.sources.notices import Notice
from pipeline.sources.restore import restore_dataset
from pipeline.sources.source_notes import SourceNotes, SourceNotice, SourceReject
from pipeline.sources.writer import describe_manifest
from pipeline.tables.audit import Damage
from pipeline.tables.datasets import (
    Dataset,
    Shard,
    dataset_folder,
    read_dataset,
)
from pipeline.tables.manifest_files import (
    read_manifest,
    shard_file,
)
from pipeline.tables.manifests import ShardManifest
from pipeline.tables.news import delete_told
from pipeline.tables.presence import mark_undone
from pipeline.tables.record_list import read_good

KEPT_TABLES = ("rejects", "notices")
"""Where what only the source knew is written."""


def repair_dataset(
    store: Store, name: str, damages: list[Damage], progress: ProgressCallback
) -> tuple[list[str], list[str]]:
    """Put a dataset's list of shards right and index its damaged shards again.

    Args:
        store: The warehouse.
        name: Name of the dataset.
        damages: Those of its list and its index.
        progress: Told of each shard.

    Returns:
        What was done, and what could not be, as lines.
    """
    folder = dataset_folder(name)
    done: list[str] = []
    left: list[str] = []
    with lock_dataset(store, name):
        restore_dataset(store, name)
        dataset = read_dataset(store, name)
        by_record: dict[str, list[Damage]] = {}
        for damage in damages:
            if damage.record.kind == "index" and "is of the shard" not in damage.problem:
                by_record.setdefault(damage.record.path, []).append(damage)
        progress.start(f"repair {name}", len(by_record))
        try:
            for path, found in sorted(by_record.items()):
                manifest = read_good(store, path, ShardManifest)[0]
                ordinal = int(path.rsplit("/", 1)[-1].removesuffix(".json"))
                try:
                    line, is_done = _repair_shard(store, dataset, ordinal, manifest, found)
                except NeuronsError as error:
                    line, is_done = f"{path}: {error}", False
                (done if is_done else left).append(line)
                progress.advance(1, line)
        finally:
            progress.finish()
        manifests = (read_manifest(store, folder, shard.ordinal) for shard in dataset.shards)
        find_duplicates(
            store, name, [m["ordinal"] for m in manifests if m and m["status"] == "done"]
        )
    return done, left


def _repair_shard(
    store: Store,
    dataset: Dataset,
    ordinal: int,
    manifest: ShardManifest | None,
    damages: list[Damage],
) -> tuple[str, bool]:
    """What became of one shard, and whether it is done."""
    folder = dataset_folder(dataset.name)
    shard, again = dataset.shards[ordinal], f"run the same command that made {dataset.name!r} again"
    is_ours = shard.url == shard_file(folder, "shards", ordinal, ".tar")
    if manifest is None:
        delete_told(store, damages[0].record.path)
        if is_ours:
            return (
                f"shard {shard.name}: its place in its source is not known any more; {again}",
                False,
            )
        index = index_shard(store, dataset, shard, 1.0, _notes_beside(dataset, shard))
        told = "" if dataset.source == "img2dataset" else ", but not what its source rejected"
        return f"{describe_manifest(index)} (made again from its tar{told})", _is_done(index)
    tar = shard_file(folder, "shards", ordinal, ".tar")
    if any(damage.path == tar for damage in damages):
        mark_undone(store, folder, manifest, f"{tar} is damaged")
        store.delete(tar)
        return f"shard {shard.name}: the tar that we wrote is damaged or gone; {again}", False
    damaged = {damage.path for damage in damages}
    lost = [t for t in KEPT_TABLES if shard_file(folder, t, ordinal) in damaged]
    notes = _keep_notes(store, folder, dataset, shard, manifest, lost)
    mark_undone(store, folder, manifest, damages[0].path + " was damaged")
    source = manifest.get("source", dataset.source)
    index = index_shard(store, dataset, shard, manifest.get("max_reject_frac", 1.0), notes, source)
    left_out = manifest["read_count"] - index["read_count"]
    told = f"; {left_out} rejects that only its source knew are lost" if left_out else ""
    return f"{describe_manifest(index)} (made again from its tar{told})", _is_done(index)


def _notes_beside(dataset: Dataset, shard: Shard) -> SourceNotes:
    """What lies beside a tar that we did not write."""
    return read_notes(shard) if dataset.source == "img2dataset" else SourceNotes()


def _keep_notes(
    store: Store,
    folder: str,
    dataset: Dataset,
    shard: Shard,
    manifest: ShardManifest,
    lost: list[str],
) -> SourceNotes:
    """What the source said of a shard, from what was written of it."""
    if manifest.get("source", dataset.source) == "img2dataset":
        return read_notes(shard)
    of, columns = (store, folder, manifest, lost), ("position", "shard_key", "reason", "detail")
    rejects = [SourceReject(*row) for row in _source_rows(*of, "rejects", columns)]
    notices = [
        SourceNotice(position, key, Notice(*told))
        for position, key, *told in _source_rows(*of, "notices", (*columns, "notice_count"))
        if position is not None
    ]
    return SourceNotes(
        rejects=tuple(rejects),
        notices=tuple(notices),
        passed_over={(r, kind): count for r, kind, count in manifest.get("passed_over", [])},
        sample_count=0 if manifest["read_count"] == len(rejects) else None,
        source_count=manifest.get("source_count"),
        source_digest=manifest.get("source_digest"),
        tar_checksum=manifest.get("tar_checksum"),
    )


def _source_rows(
    store: Store,
    folder: str,
    manifest: ShardManifest,
    lost: list[str],
    table: str,
    columns: tuple[str, ...],
) -> list[tuple[Any, ...]]:
    """Columns of what the source told."""
    if table in lost:
        return []
    path = shard_file(folder, table, manifest["ordinal"])
    if not store.exists(path):
        return []
    with store.open(path) as file:
        read = pq.ParquetFile(file).read(columns=["stage", *columns])
    rows = zip(*(read[name].to_pylist() for name in ("stage", *columns)), strict=True)
    return [row[1:] for row in rows if row[0] == "source"]


def _is_done(manifest: ShardManifest) -> bool:
    return manifest["status"] == "done"
