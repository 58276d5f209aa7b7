"""Merged partial statistics: which shards a merge stands for, and whether it still does.

``merged.json`` of a run says which shards' partial statistics were merged, and into which files. A merge
holds as long as each of its shards is what it was when it was merged; views then read its files in place
of the shards' own. These stay where they are until ``neurons vacuum`` takes them, so that connections that
were opened before go on; the record says first that they are gone (``has_parts``).

A shard that is made anew with other numbers makes its merge void. With the shards' own files still there
nothing is lost: they answer again. Without them the shards have no statistics any more: they are not done,
until they are extracted again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import xxhash

from pipeline.base.storage import Store
from pipeline.tables.manifests import FileEntry, ShardManifest
from pipeline.tables.records import read_record
from pipeline.tables.runs import Merge, MergedRecord

PARTIALS = ("shard_stats", "shard_histograms", "shard_top", "shard_samples")
"""Tables that are merged."""

MERGE_WIDTH = 64
"""How many shards, or merges, become one, if nothing else was asked for when a run was first merged."""

MERGED_LOCK = "merged.lock"
"""Held by whoever writes the record, in the run's folder."""

KEEP = timedelta(hours=1)
"""How long what went into a merge stays, for connections that were opened before it."""

LEVELS = 3
"""How often that is repeated: to 262,144 shards. ``stg_neuron_moments`` adds in the same steps."""


def merged_path(folder: str) -> str:
    """Where the record of a run's merges lies."""
    return f"{folder}/merged.json"


def read_merged(store: Store, folder: str) -> MergedRecord | None:
    """The record of the merges of the run in a folder, if there are any.

    Raises:
        WarehouseError: It is damaged, or a newer version's.
    """
    path = merged_path(folder)
    return read_record(store, path, MergedRecord) if store.exists(path) else None


def list_partials(manifest: ShardManifest) -> list[FileEntry]:
    """The files of a shard's partial statistics, as its manifest names them."""
    return [file for file in manifest["files"] if file["table"] in PARTIALS]


def mark(manifest: ShardManifest) -> str:
    """Changes with the contents of a shard's partial statistics, wherever they lie; empty if it has none."""
    if manifest["status"] != "done":
        return ""
    files = list_partials(manifest)
    told = sorted(f"{f['table']} {f.get('layer')} {f.get('checksum')}" for f in files)
    return str(xxhash.xxh3_64_hexdigest("\n".join(told).encode())[:12]) if told else ""


@dataclass
class Coverage:
    """What the merges of a run stand for today."""

    merges: list[Merge] = field(default_factory=list)
    """Those that hold."""
    void: list[Merge] = field(default_factory=list)
    """Those of which a shard was made anew, with other numbers."""
    suspended: list[Merge] = field(default_factory=list)
    """Those of which a shard is not done now; it may become what it was."""
    covered: set[int] = field(default_factory=set)
    """Ordinals of the shards that they stand for."""
    lost: dict[int, str] = field(default_factory=dict)
    """Ordinals of shards whose statistics were merged, and why the merge does not hold; their own are gone."""
    files: list[FileEntry] = field(default_factory=list)
    """Files of the merges that hold."""


def find_coverage(manifests: Iterable[ShardManifest], record: MergedRecord | None) -> Coverage:
    """Which merges of a record hold, given the manifests of its run."""
    coverage = Coverage()
    if record is None:
        return coverage
    marks = {manifest["ordinal"]: mark(manifest) for manifest in manifests}
    for merge in record["merges"]:
        members = members_of(merge)
        changed = [n for n, was in members.items() if marks.get(n, "") != was]
        if not changed:
            coverage.merges.append(merge)
            coverage.covered |= members.keys()
            continue
        remade = [n for n in changed if marks.get(n)]
        (coverage.void if remade else coverage.suspended).append(merge)
        if not merge["has_parts"]:
            what = "made anew with other numbers" if remade else "not done any more"
            why = (
                f"shard {(remade or changed)[0]}, with which its statistics were merged, is {what}"
            )
            coverage.lost |= {n: why for n in members if marks.get(n) == members[n]}
    held = {merge["made_from"] for merge in coverage.merges}
    coverage.files = [file for file in record["files"] if file.get("made_from") in held]
    return coverage


def members_of(merge: Merge) -> dict[int, str]:
    """Ordinals and marks of the shards that a merge was made from."""
    return {merge["first"] + n: was for n, was in enumerate(merge["marks"]) if was}


def own_files(manifest: ShardManifest, record: MergedRecord | None) -> list[FileEntry]:
    """The files that a shard must have of its own: not those that were merged, which may be gone."""
    if record is None or not is_merged(manifest, record):
        return manifest["files"]
    return [file for file in manifest["files"] if file["table"] not in PARTIALS]


def is_merged(manifest: ShardManifest, record: MergedRecord) -> bool:
    """Whether a merge was made from a shard as it is."""
    ordinal, today = manifest["ordinal"], mark(manifest)
    return any(
        0 <= (place := ordinal - merge["first"]) < len(merge["marks"])
        and bool(today)
        and merge["marks"][place] == today
        for merge in record["merges"]
    )


def as_lost(manifest: ShardManifest, lost: Mapping[int, str]) -> ShardManifest:
    """A manifest as it stands; not done, and why, if its statistics are lost."""
    why = lost.get(manifest["ordinal"])
    return manifest if why is None else undone(manifest, why[:1].upper() + why[1:])


def undone(manifest: ShardManifest, why: str) -> ShardManifest:
    """A manifest of a done shard as of one that is to be done again."""
    return {
        **manifest,
        "status": "failed",
        "error": f"{why}. It is to be made again: neurons repair",
        "written_count": 0,
        "rejected_count": manifest["read_count"],
        "files": [],
        "is_undone": True,
    }
