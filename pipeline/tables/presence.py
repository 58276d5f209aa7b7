"""Whether the files that a record names are there, and what a shard becomes when they are not."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.base.locks import hold_lock
from pipeline.base.storage import Store
from pipeline.tables.manifest_files import (
    read_manifest,
    read_manifests,
    shard_file,
    write_manifest,
)
from pipeline.tables.manifests import FileEntry, ShardManifest
from pipeline.tables.merged import (
    MERGED_LOCK,
    change_merges,
    find_coverage,
    mark,
    members_of,
    merged_path,
    own_files,
    read_merged,
    reserve_below,
    undone,
)
from pipeline.tables.runs import MergedRecord


def list_files(folder: str, manifest: ShardManifest) -> list[FileEntry]:
    """The files that a shard's manifest names, with the tar, if we wrote it."""
    files = list(manifest["files"])
    checksum = manifest.get("tar_checksum")
    if manifest["status"] == "done" and checksum:
        tar: FileEntry = {
            "table": "shards",
            "path": shard_file(folder, "shards", manifest["ordinal"], ".tar"),
            "row_count": -1,
            "bytes": manifest["size_bytes"],
            "checksum": checksum,
        }
        files.append(tar)
    return files


class Presence:
    """Sizes of files, by one listing of each folder; what is written later is not in it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folders: dict[str, dict[str, int]] = {}
        self._merged: dict[str, MergedRecord | None] = {}

    def find_problem(self, file: FileEntry) -> str:
        """What is wrong with a file as far as its size tells; empty if nothing is."""
        folder, _, name = file["path"].rpartition("/")
        if folder not in self._folders:
            self._folders[folder] = self._store.sizes(folder)
        size = self._folders[folder].get(name)
        if size is None:
            return "is gone"
        if file["bytes"] not in (-1, size):
            return f"has {size} bytes, its record says {file['bytes']}"
        return ""

    def find_lost(self, files: Iterable[FileEntry]) -> str:
        """The first file with a problem, and which; empty if all are there."""
        for file in files:
            if problem := self.find_problem(file):
                return f"{file['path']} {problem}"
        return ""

    def find_lost_of(self, folder: str, manifest: ShardManifest) -> str:
        """The same of a shard, but for files that were merged: those need not be there."""
        lost = self.find_lost(list_files(folder, manifest))
        if not lost:
            return ""
        if folder not in self._merged:
            self._merged[folder] = read_merged(self._store, folder)
        needed = own_files(manifest, self._merged[folder])
        return self.find_lost(list_files(folder, {**manifest, "files": needed}))


def read_whole_manifest(
    store: Store, folder: str, ordinal: int, presence: Presence
) -> ShardManifest | None:
    """The manifest of a shard, marked as not done if a file that it needs is gone or of another size.

    To be called under the lock of whoever writes the shard.
    """
    manifest = read_manifest(store, folder, ordinal)
    if manifest is None or manifest["status"] != "done":
        return manifest
    lost = presence.find_lost_of(folder, manifest)
    return mark_undone(store, folder, manifest, lost) if lost else manifest


def mark_undone(store: Store, folder: str, manifest: ShardManifest, why: str) -> ShardManifest:
    """Make a done shard one that is to be done again; what it is and where it lies stays known.

    To be called under the lock of whoever writes the shard.
    """
    write_manifest(store, folder, undone(manifest, why))
    marked = read_manifest(store, folder, manifest["ordinal"])
    assert marked is not None, "it was written just now"
    return marked


def drop_void_merges(store: Store, folder: str) -> list[int]:
    """Forget the merges of a run that are void, see `merged`; shards that are lost by it are to be made again.

    Returns:
        Their ordinals.
    """
    if read_merged(store, folder) is None:
        return []
    with hold_lock(store, f"{folder}/{MERGED_LOCK}"):
        record = read_merged(store, folder)
        coverage = find_coverage(read_manifests(store, folder), record)
        if record is None or not coverage.void:
            return []
        return forget_merges(store, folder, record, {m["made_from"] for m in coverage.void})


def forget_merges(store: Store, folder: str, record: MergedRecord, which: set[str]) -> list[int]:
    """Take merges out of the record, after the shards that have no statistics but theirs are marked.

    In place of larger ones stand the merges that are in reserve for them. To be called under the lock of the
    merges.

    Returns:
        Ordinals of these shards.
    """
    found = find_coverage(read_manifests(store, folder), record, which).lost
    gone = [merge for merge in record["merges"] if merge["made_from"] in which]
    lost: list[int] = []
    for ordinal, was in sorted(pair for merge in gone for pair in members_of(merge).items()):
        if ordinal not in found:
            continue
        with hold_lock(store, shard_file(folder, "locks", ordinal, ".lock")):
            manifest = read_manifest(store, folder, ordinal)
            if manifest is not None and mark(manifest) == was:
                why = "Its statistics were merged, and the merge does not hold any more"
                mark_undone(store, folder, manifest, why)
                lost.append(ordinal)
    raised = [one for merge in gone for one in reserve_below(merge, record)]
    merges = [merge for merge in (*record["merges"], *raised) if merge["made_from"] not in which]
    reserve = [
        one
        for one in record.get("reserve", ())
        if one not in raised and one["made_from"] not in which
    ]
    left = change_merges(record, merges, reserve)
    store.write_record(merged_path(folder), left, with_copy=True)
    return lost
