"""Merged partial statistics: which shards a merge stands for, and whether it still does.

``merged.json`` of a run says which shards' partial statistics were merged, and into which files. A merge
holds as long as each of its shards is what it was when it was merged; views then read its files in place
of the shards' own. These stay where they are until ``neurons vacuum`` takes them, so that connections that
were opened before go on; the record says first that they are gone (``has_parts``).

A shard that is made anew with other numbers makes its merge void. With the shards' own files still there
nothing is lost: they answer again. Without them the merges of shards that went into a larger one answer, which
are kept in reserve, and what was merged directly with the other shard has no statistics any more: at most
``width`` shards, which are not done until their statistics are made again, from stored activations
(``extract/restore.py``), or else by extracting them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import xxhash

from pipeline.base.storage import Store
from pipeline.tables.manifests import FileEntry, ShardManifest, keep_formats
from pipeline.tables.records import read_record
from pipeline.tables.runs import Merge, MergedRecord, Retired, RunRecord

PARTIALS = ("shard_stats", "shard_histograms", "shard_top", "shard_samples")
"""Tables that are merged."""

MERGE_WIDTH = 64
"""How many shards, or merges, become one, if nothing else was asked for when a run was opened."""

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


def width_of(run: RunRecord, record: MergedRecord | None) -> int:
    """How many shards, or merges, of a run become one."""
    return record["width"] if record else run["config"].get("merge_width") or MERGE_WIDTH


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
    """Those that hold; of the reserve, where the larger one does not."""
    void: list[Merge] = field(default_factory=list)
    """Those of which a shard was made anew, with other numbers."""
    suspended: list[Merge] = field(default_factory=list)
    """Those of which a shard is not done now; it may become what it was."""
    covered: set[int] = field(default_factory=set)
    """Ordinals of the shards that those that hold stand for."""
    lost: dict[int, str] = field(default_factory=dict)
    """Ordinals of shards whose statistics were merged, and why the merge does not hold; their own are gone."""
    files: list[FileEntry] = field(default_factory=list)
    """Files of the merges that hold."""


def find_coverage(
    manifests: Iterable[ShardManifest],
    record: MergedRecord | None,
    damaged: Collection[str] = (),
) -> Coverage:
    """Which merges of a record hold.

    Args:
        manifests: Of the run, all of them.
        record: Of its merges.
        damaged: ``made_from`` of merges that do not, whatever their shards are.
    """
    coverage = Coverage()
    if record is None:
        return coverage
    marks = {manifest["ordinal"]: mark(manifest) for manifest in manifests}
    void: list[tuple[Merge, list[Merge], str]] = []
    for largest in record["merges"]:
        below = reserve_below(largest, record)
        for merge in (largest, *below):
            members = members_of(merge)
            changed = [n for n, was in members.items() if marks.get(n, "") != was]
            if not changed and merge["made_from"] not in damaged:
                coverage.merges.append(merge)
                coverage.covered |= members.keys()
                if merge is largest:
                    break
                continue
            remade = [n for n in changed if marks.get(n)]
            (coverage.void if remade or not changed else coverage.suspended).append(merge)
            if merge is largest:
                void.append((merge, below, _explain(changed, remade)))
    for merge, below, why in void:
        for n, was in members_of(merge).items():
            if n in coverage.covered or marks.get(n, "") != was:
                continue
            closest = next((one for one in below if n in members_of(one)), merge)
            if not closest["has_parts"]:
                coverage.lost[n] = why
    held = {merge["made_from"] for merge in coverage.merges}
    coverage.files = [file for file in record["files"] if file.get("made_from") in held]
    return coverage


def _explain(changed: list[int], remade: list[int]) -> str:
    if not changed:
        return "what its statistics were merged into is damaged"
    what = "made anew with other numbers" if remade else "not done any more"
    return f"shard {(remade or changed)[0]}, with which its statistics were merged, is {what}"


def reserve_below(merge: Merge, record: MergedRecord) -> list[Merge]:
    """The merges in reserve of shards that a larger one spans."""
    inside = range(merge["first"], merge["first"] + len(merge["marks"]))
    return [one for one in record.get("reserve", ()) if one["first"] in inside]


def members_of(merge: Merge) -> dict[int, str]:
    """Ordinals and marks of the shards that a merge was made from."""
    return {merge["first"] + n: was for n, was in enumerate(merge["marks"]) if was}


def change_merges(
    record: MergedRecord, merges: list[Merge], reserve: list[Merge], new: Sequence[FileEntry] = ()
) -> MergedRecord:
    """A record with other merges. Files of those that are not among them stay for a while: see `KEEP`.

    Args:
        record: As it was.
        merges: Those that it shall have.
        reserve: Those that it shall keep beside.
        new: Files that it does not have yet.
    """
    now = datetime.now(UTC)
    kept = {merge["made_from"] for merge in (*merges, *reserve)}
    fresh = {file["path"] for file in new}
    files = keep_formats(record["files"], record.get("format", 1))
    known = [file for file in files if file["path"] not in fresh]
    return {
        **record,
        "merges": merges,
        "files": [*(file for file in known if file.get("made_from") in kept), *new],
        "retired": [
            *(o for o in record["retired"] if datetime.fromisoformat(o["retired_at"]) > now - KEEP),
            *(
                Retired(path=file["path"], retired_at=now.isoformat(timespec="seconds"))
                for file in known
                if file.get("made_from") not in kept
            ),
        ],
        "reserve": reserve,
    }


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
