"""A warehouse of records alone: as many shards as a test wants, and no files of theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.base.checksums import seal
from pipeline.base.storage import Store
from pipeline.tables.manifests import DatasetRecord, FileEntry, ShardManifest

FOLDERS = ("dataset=d", "dataset=d/run_id=r")


def make_entry(folder: str, table: str, ordinal: int, layer: str = "") -> FileEntry:
    inner = f"layer={layer}/" if layer else ""
    return {
        "table": table,
        "path": f"{folder}/{table}/{inner}{ordinal:05d}.parquet",
        "layer": layer or None,
        "row_count": ordinal * 3,
        "bytes": 1000 + ordinal,
        "checksum": f"xxh3:{ordinal:016x}",
    }


def make_manifest(folder: str, ordinal: int, tables: tuple[str, ...], **more: Any) -> ShardManifest:
    manifest: ShardManifest = {
        "ordinal": ordinal,
        "shard": f"{ordinal:05d}",
        "size_bytes": 10,
        "status": "done",
        "error": None,
        "read_count": 5,
        "written_count": 5,
        "rejected_count": 0,
        "reject_reasons": {},
        "files": [make_entry(folder, table, ordinal) for table in tables],
        "seconds": {"read": ordinal / 7, "wall": 1.0},
        "written_at": "2026-11-26T11:47:08+00:00",
    }
    return {**manifest, **more}  # type: ignore[typeddict-item]  # any field may be given


def make_records(place: Path, run: dict[str, Any], count: int) -> Store:
    """A warehouse of records alone: a dataset of ``count`` shards and a run, whose record is given."""
    store = Store(place)
    shards = [
        {"ordinal": n, "name": f"{n:05d}", "url": f"t/{n:05d}.tar", "size_bytes": 10}
        for n in range(count)
    ]
    record: DatasetRecord = {"dataset": "d", "source": "webdataset", "shards": shards}  # type: ignore[typeddict-item]  # fields of today are left out
    store.write_record("dataset=d/dataset.json", record)
    store.write_record("dataset=d/run_id=r/run.json", {**run, "run_id": "r"})
    for n in range(count):
        index = ("examples", "texts", "rejects", "duplicates")
        write_quickly(place, FOLDERS[0], make_manifest(FOLDERS[0], n, index))
        partials = ("embeddings", "shard_stats")
        write_quickly(place, FOLDERS[1], make_manifest(FOLDERS[1], n, partials))
    return store


def write_quickly(place: Path, folder: str, manifest: ShardManifest) -> None:
    """As `write_manifest`, but it would not outlast a loss of power."""
    file = place / folder / "manifests" / f"{manifest['ordinal']:05d}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(seal({**manifest, "format": 2}))
