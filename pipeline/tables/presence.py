"""Whether the files that a record names are there, and what a shard becomes when they are not."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.base.storage import Store
from pipeline.tables.datasets import read_manifest, shard_file, write_manifest
from pipeline.tables.manifests import FileEntry, ShardManifest


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


def read_whole_manifest(
    store: Store, folder: str, ordinal: int, presence: Presence
) -> ShardManifest | None:
    """The manifest of a shard, marked as not done if a file that it names is gone or of another size.

    To be called under the lock of whoever writes the shard.
    """
    manifest = read_manifest(store, folder, ordinal)
    if manifest is None or manifest["status"] != "done":
        return manifest
    lost = presence.find_lost(list_files(folder, manifest))
    return mark_undone(store, folder, manifest, lost) if lost else manifest


def mark_undone(store: Store, folder: str, manifest: ShardManifest, why: str) -> ShardManifest:
    """Make a done shard one that is to be done again; what it is and where it lies stays known.

    To be called under the lock of whoever writes the shard.
    """
    undone: ShardManifest = {
        **manifest,
        "status": "failed",
        "error": f"{why}. It is to be made again: neurons repair",
        "written_count": 0,
        "rejected_count": manifest["read_count"],
        "files": [],
        "is_undone": True,
    }
    write_manifest(store, folder, undone)
    marked = read_manifest(store, folder, manifest["ordinal"])
    assert marked is not None, "it was written just now"
    return marked
