"""What lies in a warehouse and belongs to nothing any more: found, told, removed."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from pipeline.base.errors import WarehouseError
from pipeline.base.leftovers import HALF_WRITTEN
from pipeline.base.storage import Store
from pipeline.base.warn import warn_once
from pipeline.tables.audit import files_of_record
from pipeline.tables.datasets import dataset_folder
from pipeline.tables.manifest_files import read_manifests
from pipeline.tables.manifests import BuildRecord, ShardManifest, keep_formats
from pipeline.tables.measured import Measured, named_paths
from pipeline.tables.merged import (
    KEEP,
    find_coverage,
    members_of,
    merged_path,
    own_files,
    read_merged,
    reserve_below,
)
from pipeline.tables.record_list import list_records, read_record_if_good
from pipeline.tables.runs import (
    CompactRecord,
    Merge,
    MergedRecord,
    kept_versions,
)
from pipeline.tables.schema import TABLES
from pipeline.upkeep.delete import DELETED, all_locked
from pipeline.upkeep.rename import RENAMING
from pipeline.warehouse.parts import MART

MEASURED = (
    "similarity",
    "class set",
    "effects",
    "ablations",
    "support",
    "facet probe",
    "visualisations",
    "figures",
)
"""Kinds of records that are `Measured`."""

OLD = timedelta(days=1)
"""Where there are no locks, younger files may be another process's: they stay."""

_OURS = re.compile(r"(dataset=[^/]+/(?:run_id=[^/]+/)?)([a-z_]+)/(?:.*/)?[^/]+\.(?:parquet|png)\Z")


@dataclass(frozen=True)
class Leftover:
    """A file that no record names."""

    path: str
    """Relative to the warehouse."""
    bytes: int
    why: str
    """``half-written``, ``superseded``, ``merged``, ``old marts``, ``deleted`` or ``renaming``."""
    folder: str
    """Of the dataset or the run whose locks say whether somebody works there; empty: none."""


@dataclass(frozen=True)
class VacuumSummary:
    """What was found, and what of it was left."""

    removed: tuple[Leftover, ...]
    kept: tuple[Leftover, ...]
    """Because somebody works there, or it is too young to tell."""


def find_leftovers(store: Store, dataset: str | None = None) -> list[Leftover]:
    """Files of ours that no record names, in the order of their paths.

    Args:
        store: The warehouse.
        dataset: Only in the folder of this one.

    Only files that steps of ours write under names of ours are looked at, and none of a dataset whose
    records cannot all be read: they might name them.
    """
    named: set[str] = set()
    is_built = False
    unknown: set[str] = set()
    merges: dict[str, MergedRecord] = {}
    shards: dict[str, list[ShardManifest]] = {}
    for record in list_records(store, dataset):
        value = read_record_if_good(store, record)
        if value is None:
            unknown.add(record.folder.split("/")[0])
            continue
        if record.kind == "shard":
            shards.setdefault(record.folder, []).append(cast(ShardManifest, value))
            continue
        if record.kind == "merged":
            merges[record.folder] = cast(MergedRecord, value)
            retired = merges[record.folder]["retired"]
            named |= {one["path"] for one in retired if not _is_past(store, one["retired_at"])}
        named |= {file["path"] for file in files_of_record(store, record, value)}
        if record.kind == "marts":
            named |= set(cast(BuildRecord, value).get("replaced", []))
            is_built = True
        elif record.kind == "compact":
            for version in kept_versions(cast(CompactRecord, value)) - {""}:
                named |= {rel for rel, _ in store.walk(f"{record.folder}/compact/{version}")}
        elif record.kind in MEASURED:
            named |= named_paths(cast(Measured, value))
    merged: set[str] = set()
    for folder, manifests in shards.items():
        kept, free = _part_files(store, manifests, merges.get(folder))
        named |= kept
        merged |= free
    where = dataset_folder(dataset) if dataset else ""
    found = (_judge(rel, size, named, merged, is_built, unknown) for rel, size in store.walk(where))
    return sorted((each for each in found if each), key=lambda each: each.path)


def _part_files(
    store: Store, manifests: list[ShardManifest], merged: MergedRecord | None
) -> tuple[set[str], set[str]]:
    """Files of shards that are kept, and those that were merged long enough ago to go."""
    coverage = find_coverage(manifests, merged)
    past = [merge for merge in coverage.merges if _is_past(store, merge["merged_at"])]
    free = {ordinal for merge in past for ordinal in members_of(merge)}
    waiting = (
        {
            ordinal
            for merge in (*merged["merges"], *merged.get("reserve", ()))
            if merge["has_parts"] or merge in coverage.merges
            for ordinal in members_of(merge)
        }
        if merged
        else set()
    )
    kept: set[str] = set()
    gone: set[str] = set()
    for manifest in manifests:
        own = {file["path"] for file in own_files(manifest, merged)}
        rest = {file["path"] for file in manifest["files"]} - own
        kept |= own
        if manifest["ordinal"] in free:
            gone |= rest
        elif manifest["ordinal"] in waiting:
            kept |= rest
    return kept, gone


def _judge(
    rel: str, size: int, named: set[str], merged: set[str], is_built: bool, unknown: set[str]
) -> Leftover | None:
    top = rel.split("/")[0]
    if top.startswith(DELETED):
        return Leftover(rel, size, "deleted", "")
    if top.startswith(RENAMING):
        return Leftover(rel, size, "renaming", "marts")  # who renames holds their lock
    folder = "/".join(
        part for part in rel.split("/")[:2] if part.startswith(("dataset=", "run_id="))
    )
    if HALF_WRITTEN.match(rel):
        return Leftover(rel, size, "half-written", folder or "marts")
    if rel in named or top in unknown:
        return None
    if MART.match(rel) and "marts" not in unknown and is_built:
        return Leftover(rel, size, "old marts", "marts")
    if rel in merged:
        return Leftover(rel, size, "merged", folder)
    if (ours := _OURS.match(rel)) and ours[2] in TABLES:
        return Leftover(rel, size, "superseded", folder)
    return None


def vacuum(store: Store, dry_run: bool = False) -> VacuumSummary:
    """Remove what `find_leftovers` finds, where nobody works.

    Args:
        store: The warehouse.
        dry_run: Only find it.
    """
    leftovers = find_leftovers(store)
    if dry_run:
        return VacuumSummary((), tuple(leftovers))
    removed: list[Leftover] = []
    kept: list[Leftover] = []
    for folder in sorted({each.folder for each in leftovers}):
        mine = [each for each in leftovers if each.folder == folder]
        try:
            with all_locked(store, folder) if folder else nullcontext():
                dataset = folder.split("/")[0].partition("dataset=")[2] or None
                still = {
                    each.path for each in find_leftovers(store, dataset)
                }  # a step may have ended
                if any(each.why == "merged" and each.path in still for each in mine):
                    _let_parts_go(store, folder)
                for each in mine:
                    if each.path in still and _is_old(store, each):
                        store.delete(each.path)
                        removed.append(each)
                    else:
                        kept.append(each)
        except WarehouseError as error:
            warn_once(str(error))
            kept += mine
    store.drop_empty_folders(*{each.path.split("/")[0] for each in removed})
    return VacuumSummary(tuple(removed), tuple(kept))


def _let_parts_go(store: Store, folder: str) -> None:
    """Say of a run's merges that what they were made from is gone, before it goes."""
    record = read_merged(store, folder)
    if record is None:
        return
    held = find_coverage(read_manifests(store, folder), record).merges
    past = [merge for merge in held if _is_past(store, merge["merged_at"])]
    gone = {one["made_from"] for m in past for one in (m, *reserve_below(m, record))}

    def tell(merge: Merge) -> Merge:
        return {**merge, "has_parts": merge["has_parts"] and merge["made_from"] not in gone}

    changed: MergedRecord = {
        **record,
        "merges": [tell(merge) for merge in record["merges"]],
        "files": keep_formats(record["files"], record.get("format", 1)),
        "reserve": [tell(merge) for merge in record.get("reserve", ())],
    }
    store.write_record(merged_path(folder), changed, with_copy=True)


def _is_past(store: Store, moment: str) -> bool:
    """Whether connections that were opened before a moment are done by now."""
    age = datetime.now(UTC) - datetime.fromisoformat(moment)
    return age > (KEEP if store.is_local else OLD)


def _is_old(store: Store, leftover: Leftover) -> bool:
    return store.is_local or datetime.now(UTC) - store.modified_at(leftover.path) > OLD
