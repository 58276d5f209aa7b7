"""Compaction: a run's activations in their final form, sorted and ranked, for fast questions.

Per block of units: rows sorted by (unit, activation desc, example_id), float32 with byte-stream split,
row groups of at least 122,880 rows cut at unit borders, and ``rank2``, twice the ascending mid-rank of
the activation among the distinct images of the same half of the run. The top k of a neuron is then a
prefix, and an AUROC is a join and a sum. The shards stay the truth until ``compact.json`` is written.

New shards become a level of their own (`compact_plan`), whose blocks one process writes or many
(`compact_blocks`). Of several levels the stored ranks are not those of the run; then ``compact_counts``, how
often each value occurs in a level, added up, give the ranks (``stg_value_counts``): a rank is a function of the
value.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from pipeline.base.errors import WarehouseError
from pipeline.base.faults import faults_told
from pipeline.base.leftovers import clear_half_written
from pipeline.base.locks import hold_lock
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.tables.datasets import run_folder
from pipeline.tables.manifests import FileEntry
from pipeline.tables.records import read_record
from pipeline.tables.runs import CompactLevel, CompactRecord, kept_versions, list_levels
from pipeline.tables.snapshots import write_snapshot
from pipeline.upkeep.compact_blocks import write_blocks
from pipeline.upkeep.compact_plan import Block, Level, list_level_blocks, plan_level
from pipeline.upkeep.merge import merge_run
from pipeline.warehouse.connect import open_views, take_whole_inventory
from pipeline.warehouse.contents import Inventory
from pipeline.warehouse.find import spell_out_run
from pipeline.warehouse.left_out import refuse_left_out
from pipeline.warehouse.levels import RANKS_FORM
from pipeline.warehouse.parts import Part


@dataclass(frozen=True)
class CompactSummary:
    """What was compacted."""

    run_count: int
    skipped_run_count: int
    """Runs that were compacted already and have no new shard since."""
    level_count: int
    """Levels that the runs have now; a run of one has its ranks stored."""
    merge_count: int
    """Merges of partial statistics, see `merge`."""
    row_count: int
    bytes_before: int
    bytes_after: int


def compact(
    warehouse: str,
    run_id: str | None = None,
    progress: ProgressCallback | None = None,
    whole: bool = False,
) -> CompactSummary:
    """Compact every run of a warehouse, or one, and merge its partial statistics.

    Blocks and merges that are done are kept if it is interrupted.

    Args:
        warehouse: Folder or URL.
        run_id: Only this one.
        progress: Told of every block.
        whole: Make one level of each run, with stored ranks.

    Raises:
        WarehouseError: No such run, or nothing extracted yet.
    """
    store, progress = Store(warehouse), progress or NoProgress()
    inventory = take_whole_inventory(store)
    there = [(run.dataset, run.run_id) for run in inventory.runs]
    there += [(one.dataset, one.run_id) for one in inventory.left_out if one.run_id is not None]
    run_id = spell_out_run(run_id, there)
    runs = [run for run in inventory.runs if run_id in (None, run.run_id)]
    refuse_left_out(inventory.left_out, None, run_id, is_needed=not runs)
    if not runs:
        known = ", ".join(run.run_id for run in inventory.runs) or "none"
        raise WarehouseError(
            f"There is no run {run_id or ''!r} in {warehouse}.", f"Runs there: {known}."
        )
    folders = [run_folder(run.dataset, run.run_id) for run in runs]
    merge_count = sum(merge_run(store, folder, progress).merge_count for folder in folders)
    levels = [plan_level(inventory, run, whole) for run in runs]
    todo = [level for level in levels if level]
    for folder in (folder for folder, level in zip(folders, levels, strict=True) if not level):
        with _alone(store, folder):
            _drop_versions(store, folder, _read_versions(store, folder))
    totals = (0, 0, 0)
    with faults_told(str(warehouse)), open_views(inventory, LabelSettings()) as connection:
        for level in todo:
            with _alone(store, level.folder):
                done = _compact_run(connection, inventory, level, progress)
            totals = (totals[0] + done[0], totals[1] + done[1], totals[2] + done[2])
    for folder in folders:
        write_snapshot(store, folder)
    records = [_read_record(store, folder) for folder in folders]
    level_count = sum(len(list_levels(record)) for record in records if record)
    return CompactSummary(len(todo), len(runs) - len(todo), level_count, merge_count, *totals)


def list_blocks(warehouse: str, run_id: str | None = None) -> list[Block]:
    """The blocks of units that `compact` would sort, of all runs or of one; see `compact_block`."""
    inventory = take_whole_inventory(Store(warehouse))
    levels = [plan_level(inventory, run) for run in inventory.runs if run_id in (None, run.run_id)]
    return [block for level in levels if level for block in list_level_blocks(inventory, level)]


def compact_block(warehouse: str, block: Block) -> None:
    """Sort one block and write its files, beside processes that do others; `compact` then takes them up.

    Nothing is done if its shards have been compacted, or are others, since it was listed.

    Args:
        warehouse: Folder or URL.
        block: One of `list_blocks`.
    """
    inventory = take_whole_inventory(Store(warehouse))
    part = Part(block.dataset, (block.run_id,)).of(inventory)
    levels = [plan_level(part, run) for run in part.runs]
    for level in (level for level in levels if level and level.version == block.version):
        with faults_told(warehouse), open_views(part, LabelSettings()) as connection:
            write_blocks(connection, part.store, level, [block], NoProgress())


def _compact_run(
    connection: duckdb.DuckDBPyConnection,
    inventory: Inventory,
    level: Level,
    progress: ProgressCallback,
) -> tuple[int, int, int]:
    """Rows, bytes before and bytes after."""
    blocks = list_level_blocks(inventory, level)
    files = write_blocks(connection, inventory.store, level, blocks, progress)
    row_count = sum(file["row_count"] for file in files if file["table"] == "compact")
    made: CompactLevel = {
        "version": level.version,
        "ordinals": level.ordinals,
        "row_count": row_count,
    }
    _commit(inventory.store, level.folder, [*level.kept, made], files)
    before = sum(file["bytes"] for file in level.files)
    return row_count, before, sum(file["bytes"] for file in files)


def _commit(store: Store, folder: str, levels: list[CompactLevel], files: list[FileEntry]) -> None:
    """Make a new level, the last of these, count."""
    known = _read_record(store, folder)
    used = {level["version"] for level in levels}
    places = tuple(f"{folder}/compact/{level['version']}/" for level in levels[:-1])
    kept = [f for f in known["files"] if places and f["path"].startswith(places)] if known else []
    # open connections may still read what was in use until now
    in_use = {level["version"] for level in list_levels(known)} if known else set()
    if in_use <= used and known:
        in_use |= kept_versions(known)
    retired = sorted(in_use - used - {""})
    record: CompactRecord = {
        "version": levels[0]["version"],
        "form": RANKS_FORM,
        "ordinals": levels[0]["ordinals"],
        "files": kept + files,
        "levels": levels,
        "retired": retired,
    }
    store.write_record(f"{folder}/compact.json", record)
    _drop_versions(store, folder, used | set(retired))


def _read_record(store: Store, folder: str) -> CompactRecord | None:
    path = f"{folder}/compact.json"
    return read_record(store, path, CompactRecord) if store.exists(path) else None


def _read_versions(store: Store, folder: str) -> set[str]:
    """Versions that are in use, and those before; none if nothing is compacted."""
    record = _read_record(store, folder)
    return kept_versions(record) if record else set()


def _drop_versions(store: Store, folder: str, keep: set[str]) -> None:
    """Remove blocks of other versions; open connections may still read the one before."""
    for name in store.list(f"{folder}/compact"):
        if name not in keep:
            store.fs.rm(store.path(f"{folder}/compact/{name}"), recursive=True)


@contextmanager
def _alone(store: Store, folder: str) -> Iterator[None]:
    """Nobody else compacts a run meanwhile, but for blocks; a half-written record is cleared."""
    with hold_lock(store, f"{folder}/compact.lock") as lock:
        clear_half_written(store, lock, folder, prefix="compact.json")
        yield
