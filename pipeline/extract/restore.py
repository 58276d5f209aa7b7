"""Partial statistics of shards again, from their stored activations: without the model.

Statistics that were merged go with their merge when one of its shards is made anew with other numbers, see
`tables.merged`. A layer tells them again if all its activations are stored, or those above zero and, as the
merge says, none was below; and if it has no peaks, which only a pass of the model knows. They are the same to
the last bit where the device and the versions are those that extracted it.
"""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from pipeline.base.errors import NeuronsError
from pipeline.base.faults import faults_told
from pipeline.base.locks import hold_lock
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.storage import Store
from pipeline.base.warn import warn_once
from pipeline.extract.activation_file import ARROW_TYPES
from pipeline.extract.kept import is_one_sided
from pipeline.extract.partial_tables import name_attempt, partial_tables, write_partials
from pipeline.extract.plan import read_duplicates
from pipeline.extract.sketch import merge, sketch
from pipeline.tables.datasets import Shard
from pipeline.tables.manifest_files import (
    read_manifest,
    read_manifests,
    shard_file,
    write_manifest,
)
from pipeline.tables.manifests import FileEntry, ShardManifest, keep_formats
from pipeline.tables.merged import (
    MERGED_LOCK,
    PARTIALS,
    find_coverage,
    list_partials,
    members_of,
    merged_path,
    read_merged,
)
from pipeline.tables.runs import Merge, MergedRecord, RunLayer, RunRecord, read_run


def restore_partials(
    store: Store,
    folder: str,
    damaged: Collection[str] = (),
    progress: ProgressCallback | None = None,
    and_suspended: bool = True,
) -> list[int]:
    """Make the statistics of a run's shards again that went with a merge, where its activations tell them.

    Args:
        store: The warehouse.
        folder: The run's.
        damaged: As of `merged.find_coverage`.
        progress: Told of every shard.
        and_suspended: Also where the merge may hold again, once a shard is done that is not.

    Returns:
        Ordinals of the shards.
    """
    record = read_merged(store, folder)
    if record is None:
        return []
    run, progress = read_run(store, folder), progress or NoProgress()
    with hold_lock(store, f"{folder}/{MERGED_LOCK}"):
        record = read_merged(store, folder)
        coverage = find_coverage(read_manifests(store, folder), record, damaged)
        unheld = [*coverage.void, *(coverage.suspended if and_suspended else ())]
        if record is None or not coverage.lost:
            return []
        lost = coverage.lost.keys() & {n for merge in unheld for n in members_of(merge)}
        told = {
            n
            for merge in unheld
            if lost & members_of(merge).keys() and _tells_all(store, run, record, merge)
            for n in members_of(merge)
        }
        todo = lost & told
        if not todo:
            return []
        done: list[int] = []
        progress.start("statistics from activations", len(todo))
        try:
            for ordinal in sorted(todo):
                try:
                    _restore(store, folder, run, ordinal)
                    done.append(ordinal)
                except NeuronsError as error:  # it stays lost
                    warn_once(
                        f"The statistics of shard {ordinal} of {store.uri(folder)} cannot be made again "
                        f"from its activations: {error}"
                    )
                progress.advance(1, f"shard {ordinal}")
        finally:
            progress.finish()
        left = lost - set(done)
        whole = [one["made_from"] for one in unheld if not members_of(one).keys() & left]

        def tell(merge: Merge) -> Merge:
            return {**merge, "has_parts": merge["has_parts"] or merge["made_from"] in whole}

        changed: MergedRecord = {
            **record,
            "files": keep_formats(record["files"], record.get("format", 1)),
            "merges": [tell(one) for one in record["merges"]],
            "reserve": [tell(one) for one in record.get("reserve", ())],
        }
        store.write_record(merged_path(folder), changed, with_copy=True)
    return done


def _tells_all(store: Store, run: RunRecord, record: MergedRecord, merge: Merge) -> bool:
    """Whether what is stored of a merge's shards tells all that was merged: activations that are absent are
    zero, and no peaks were known."""
    try:
        with faults_told(store.url):
            for layer in run["layers"]:
                if layer["store"] not in ("all", "positive"):
                    return False
                files = {
                    file["table"]: file
                    for file in record["files"]
                    if (file.get("made_from"), file.get("layer"))
                    == (merge["made_from"], layer["layer"])
                }
                least = _read(store, files["shard_stats"], "activation_min")["activation_min"]
                if layer["store"] == "positive" and pc.any(pc.less(least, 0)).as_py():
                    return False
                for table in ("shard_top", "merged_samples"):
                    for peaks in _read(store, files[table], "peak").columns:  # none in format 2
                        if peaks.null_count < len(peaks):
                            return False
    except NeuronsError:  # the merge is what is damaged
        return False
    return True


def _restore(store: Store, folder: str, run: RunRecord, ordinal: int) -> None:
    """The statistics of one shard, and its manifest where they are others than it names."""
    with (
        hold_lock(store, shard_file(folder, "locks", ordinal, ".lock")) as lock,
        faults_told(store.url),
    ):
        manifest = read_manifest(store, folder, ordinal)
        assert manifest is not None, "it is among the merged ones"
        shard = Shard(ordinal, manifest["shard"], "", manifest.get("size_bytes", 0))
        duplicates = read_duplicates(store, folder.split("/")[0], shard)
        ids = [_read_ids(store, file) for file in _files_of(manifest, "embeddings")]
        attempt, files = name_attempt(lock.is_exclusive), list[FileEntry]()
        for layer in run["layers"]:
            parts = _files_of(manifest, "activations", layer["layer"])
            one_sided = is_one_sided(layer["store"], layer["is_rectified"])
            partials = [
                sketch(
                    _read_dense(store, part, examples, layer),
                    examples,
                    torch.isin(examples, duplicates),
                    run["identity"]["top_k"],
                    one_sided,
                    len(parts) == 1,
                )
                for part, examples in zip(parts, ids, strict=True)
            ]
            whole = merge(partials, run["identity"]["top_k"])
            files += [
                write_partials(store, folder, layer["layer"], table, (ordinal, attempt))
                for table in partial_tables(whole, ordinal)
            ]
        known = keep_formats(manifest["files"], manifest.get("format", 1))
        rest = [file for file in known if file["table"] not in PARTIALS]
        if _sorted(files) != _sorted(list_partials(manifest)):
            write_manifest(store, folder, {**manifest, "files": [*rest, *files]})


def _files_of(manifest: ShardManifest, table: str, layer: str | None = None) -> list[FileEntry]:
    """One for each part that the shard was written in, in their order."""
    files = (file for file in manifest["files"] if file["table"] == table)
    return [file for file in files if layer is None or file.get("layer") == layer]


def _sorted(files: list[FileEntry]) -> list[tuple[str, str | None]]:
    return sorted((file["path"], file.get("checksum")) for file in files)


def _read(store: Store, file: FileEntry, *columns: str) -> pa.Table:
    with store.open(file["path"]) as stream:
        return pq.ParquetFile(stream, page_checksum_verification=True).read([*columns])


def _read_ids(store: Store, file: FileEntry) -> torch.Tensor:
    """int64, ascending: the examples of a part."""
    return torch.from_numpy(_read(store, file, "example_id")["example_id"].to_numpy().copy())


def _read_dense(
    store: Store, file: FileEntry, examples: torch.Tensor, layer: RunLayer
) -> torch.Tensor:
    """Activations of a part, ``[U, N]``, in the type that they are stored in; absent ones are zero."""
    table = _read(store, file, "unit", "example_id", "activation")
    dtype = next(t for t, kind in ARROW_TYPES.items() if kind == table.schema.field(2).type)
    values = torch.zeros(layer["unit_count"], len(examples), dtype=dtype)
    unit, ids, kept = (column.to_numpy() for column in table.columns)
    places = torch.searchsorted(examples, torch.from_numpy(ids.copy()))
    values[torch.from_numpy(unit.astype("int64")), places] = torch.from_numpy(kept.copy())
    return values
