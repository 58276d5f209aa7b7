"""Where the files of a shard lie, and its manifest: what says that it is done."""

from __future__ import annotations

from pipeline.base.storage import COPY, Store
from pipeline.tables.manifests import ShardManifest
from pipeline.tables.news import write_told
from pipeline.tables.records import read_record


def shard_file(folder: str, table: str, ordinal: int, suffix: str = ".parquet") -> str:
    """The path of a shard's file of one table, e.g. ``dataset=D/examples/00007.parquet``."""
    return f"{folder}/{table}/{ordinal:05d}{suffix}"


def read_manifest(store: Store, folder: str, ordinal: int) -> ShardManifest | None:
    """The manifest of a shard in a dataset's or a run's folder, or None if there is none."""
    path = shard_file(folder, "manifests", ordinal, ".json")
    if not store.exists(path):
        return None
    return read_record(store, path, ShardManifest)


def list_ordinals(store: Store, folder: str, suffix: str = ".json") -> list[int]:
    """Ordinals of the shards that have a manifest in a dataset's or a run's folder, in order.

    Only files of exactly our names: programs that keep folders alike write ``00000 (1).json`` beside.
    """
    names = store.list(f"{folder}/manifests", suffix)
    return sorted(int(name.removesuffix(suffix)) for name in names if is_ordinal_name(name, suffix))


def is_ordinal_name(name: str, suffix: str = ".json") -> bool:
    """Whether a file is called as a shard's is: its ordinal and a suffix, and exactly so."""
    stem = name.removesuffix(suffix)
    return stem != name and stem.isdecimal() and stem == f"{int(stem):05d}"


def read_manifests(store: Store, folder: str) -> list[ShardManifest]:
    """All manifests in a dataset's or a run's folder, in order of their shards."""
    paths = (shard_file(folder, "manifests", n, ".json") for n in list_ordinals(store, folder))
    return [read_record(store, path, ShardManifest) for path in paths]


def is_marked(store: Store, folder: str, manifest: ShardManifest) -> bool:
    """Whether a shard of a dataset is done and its repeated images are marked: only then is it visible.

    In format 1 the file alone says so.
    """
    if manifest["status"] != "done":
        return False
    if any(file["table"] == "duplicates" for file in manifest["files"]):
        return True
    rel = shard_file(folder, "duplicates", manifest["ordinal"])
    return manifest.get("format", 1) == 1 and store.exists(rel)


def write_manifest(store: Store, folder: str, manifest: ShardManifest) -> None:
    """Say that a shard is done (or has failed). Always the last file to be written.

    Where a shard that we wrote ends in its source nothing else could say, so that is written twice.
    """
    path = shard_file(folder, "manifests", manifest["ordinal"], ".json")
    data = store.seal_record(manifest)
    if manifest.get("source_count") is not None:
        store.write_bytes(path + COPY, data)
    write_told(store, path, data)
