"""Compaction: a run's activations in their final form, sorted and ranked, for fast questions.

Per block of units: rows sorted by (unit, activation desc, example_id), float32 with byte-stream split,
row groups of at least 122,880 rows cut at unit borders, and ``rank2``, twice the ascending mid-rank of
the activation among the distinct images of the same half of the run. The top k of a neuron is then a
prefix, and an AUROC is a join and a sum. The shards stay the truth until ``compact.json`` is written.

New shards become a *level* of their own beside those that are there, and levels are sorted into one once
the new ones are no longer small beside them, so that a run that grows is not sorted anew each time. Of
several levels the stored ranks are not those of the run; then ``compact_counts``, how often each value
occurs in a level, added up, give the ranks (``stg_value_counts``): a rank is a function of the value.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.errors import WarehouseError
from pipeline.base.faults import faults_told
from pipeline.base.leftovers import clear_half_written, clear_half_written_below
from pipeline.base.locks import Lock, hold_lock
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import LabelSettings
from pipeline.base.storage import PAGE_CHECKSUMS, Store, partition
from pipeline.tables.datasets import run_folder
from pipeline.tables.manifests import FileEntry, adopt_file, make_entry
from pipeline.tables.records import read_record
from pipeline.tables.runs import CompactLevel, CompactRecord, kept_versions, list_levels
from pipeline.tables.schema import TABLES
from pipeline.tables.snapshots import write_snapshot
from pipeline.upkeep import compact_queries as queries
from pipeline.upkeep.merge import merge_run
from pipeline.warehouse.connect import open_views, take_whole_inventory
from pipeline.warehouse.contents import Inventory, RunRow
from pipeline.warehouse.files import warehouse_uri
from pipeline.warehouse.find import spell_out_run
from pipeline.warehouse.left_out import refuse_left_out
from pipeline.warehouse.levels import RANKS_FORM, compact_version
from pipeline.warehouse.raw_views import quote

MIN_ROWS_PER_GROUP = 122_880
LEVEL_RATIO = 4
"""A level that holds less than so many times the rows of all newer ones is sorted into one with them."""

ROWS_PER_BLOCK = 20_000_000
"""Rows sorted in memory at once: about 0.5 GB; a block is as many units as fit, at least one."""


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


class _Block(NamedTuple):
    """Units that are sorted together; by these names the queries ask for it."""

    dataset: str
    run_id: str
    layer: str
    first_unit: int
    end_unit: int
    """One past the last."""


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
    plans = [(run, _plan(inventory, run, whole)) for run in runs]
    todo = [(run, plan) for run, plan in plans if plan]
    for run in (run for run, plan in plans if not plan):
        folder = run_folder(run.dataset, run.run_id)
        with hold_lock(store, f"{folder}/compact.lock") as lock:
            _clear_leftovers(store, lock, folder)
            _drop_versions(store, folder, _read_versions(store, folder))
    totals = (0, 0, 0)
    with faults_told(str(warehouse)), open_views(inventory, LabelSettings()) as connection:
        for run, plan in todo:
            folder = run_folder(run.dataset, run.run_id)
            with hold_lock(store, f"{folder}/compact.lock") as lock:
                _clear_leftovers(store, lock, folder)
                done = _compact_run(connection, inventory, run, plan, progress)
            totals = (totals[0] + done[0], totals[1] + done[1], totals[2] + done[2])
    for folder in folders:
        write_snapshot(store, folder)
    records = [_read_record(store, folder) for folder in folders]
    level_count = sum(len(list_levels(record)) for record in records if record)
    return CompactSummary(len(todo), len(runs) - len(todo), level_count, merge_count, *totals)


class _Level(NamedTuple):
    """A level to be made."""

    ordinals: list[int]
    files: list[FileEntry]
    """Activations of its shards, their own or of earlier levels."""
    kept: list[CompactLevel]
    """Levels that stay beside it; larger ones."""


def _plan(inventory: Inventory, run: RunRow, whole: bool) -> _Level | None:
    """The level that the new shards of a run become, with the levels that are sorted anew with them.

    Args:
        inventory: What there is.
        run: Of which run.
        whole: Make one level of all.
    """
    folder = run_folder(run.dataset, run.run_id)
    levels = inventory.levels[folder]
    if run.is_compacted or (levels and not whole and not list_unsorted_shards(inventory, folder)):
        return None
    parts = list_unsorted(inventory, run)
    ordinals = list_unsorted_shards(inventory, folder)
    row_count = sum(file["row_count"] for file in parts)
    kept: list[CompactLevel] = []
    for level in reversed(levels):  # the smallest first
        if kept or (not whole and level["row_count"] >= LEVEL_RATIO * max(1, row_count)):
            kept.insert(0, level)
            continue
        ordinals = ordinals + level["ordinals"]
        row_count += level["row_count"]
        place = f"{folder}/compact/{level['version']}/"
        parts += [f for f in inventory.files_of("compact") if f["path"].startswith(place)]
    return _Level(sorted(ordinals), parts, kept)


def list_unsorted(inventory: Inventory, run: RunRow) -> list[FileEntry]:
    """Files of the activations of a run that are in no level."""
    mine = f"{run_folder(run.dataset, run.run_id)}/"
    return [file for file in inventory.files_of("activations") if file["path"].startswith(mine)]


def list_unsorted_shards(inventory: Inventory, folder: str) -> list[int]:
    """Shards of a run that are done and in no level."""
    sorted_ones = {n for level in inventory.levels[folder] for n in level["ordinals"]}
    return sorted(inventory.compact_marks[folder]().keys() - sorted_ones)


def _compact_run(
    connection: duckdb.DuckDBPyConnection,
    inventory: Inventory,
    run: RunRow,
    plan: _Level,
    progress: ProgressCallback,
) -> tuple[int, int, int]:
    store = inventory.store
    folder = run_folder(run.dataset, run.run_id)
    marks = inventory.compact_marks[folder]()
    version = compact_version(marks[ordinal] for ordinal in plan.ordinals)
    before = sum(file["bytes"] for file in plan.files)
    connection.execute(
        queries.UNIVERSE,
        {"dataset": run.dataset, "run_id": run.run_id, "ordinals": plan.ordinals},
    )
    files: list[FileEntry] = []
    for layer in run.layers:
        parts = [file for file in plan.files if file.get("layer") == layer]
        paths = ", ".join(quote(warehouse_uri(file["path"])) for file in parts)
        connection.execute(queries.SOURCE.format(files=paths) if paths else queries.NO_SOURCE)
        blocks = _list_blocks(inventory, run, layer, sum(file["row_count"] for file in parts))
        progress.start(f"compact {layer}", len(blocks))
        for number, block in enumerate(blocks):
            rel = f"{folder}/compact/{version}/{partition(layer=layer)}/{number:05d}.parquet"
            entries = _compact_block(connection, store, rel, block, version)
            for entry in entries:
                entry["layer"] = layer
                files.append(entry)
            units = f"units {block.first_unit}..{block.end_unit - 1}"
            progress.advance(1, f"{units}: {entries[0]['row_count']} rows")
        progress.finish()
    row_count = sum(file["row_count"] for file in files if file["table"] == "compact")
    level: CompactLevel = {
        "version": version,
        "ordinals": plan.ordinals,
        "row_count": row_count,
    }
    _commit(store, folder, [*plan.kept, level], files)
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


def _clear_leftovers(store: Store, lock: Lock, folder: str) -> None:
    """What a killed compaction left half-written; its whole blocks are used again."""
    clear_half_written_below(store, lock, f"{folder}/compact")
    clear_half_written(store, lock, folder, prefix="compact.json")


def _list_blocks(inventory: Inventory, run: RunRow, layer: str, rows: int) -> list[_Block]:
    """The blocks of a layer, whose rows fit in memory."""
    where = (run.dataset, run.run_id, layer)
    (units,) = (
        row.unit_count for row in inventory.layers if (row.dataset, row.run_id, row.layer) == where
    )
    if not rows:
        return []
    step = max(1, int(units * ROWS_PER_BLOCK / rows))
    return [
        _Block(run.dataset, run.run_id, layer, first, min(first + step, units))
        for first in range(0, units, step)
    ]


def _compact_block(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    rel: str,
    block: _Block,
    version: str,
) -> list[FileEntry]:
    """The files of one block: first its sorted rows, then its statistics and counts."""
    key = str(sorted({**block._asdict(), "version": version}.items())).encode()
    beside = {
        table: f"{rel.removesuffix('.parquet')}-{suffix}.parquet"
        for table, suffix in (("compact_stats", "stats"), ("compact_counts", "counts"))
    }
    if _is_made_from(store, rel, key):  # the rows are written last
        adopted = [
            adopt_file(store, table, path) for table, path in {"compact": rel, **beside}.items()
        ]
        found = [entry for entry in adopted if entry is not None]
        if len(found) == len(adopted):
            return found
    connection.execute(queries.SORTED, block._asdict())
    entries = []
    for table, query in (("compact_stats", queries.STATS), ("compact_counts", queries.COUNTS)):
        rows = connection.sql(query).to_arrow_table().cast(TABLES[table].arrow_schema())
        written = store.write_parquet(beside[table], rows)
        entries.append(make_entry(table, beside[table], len(rows), written))
    table = connection.sql(queries.ROWS).to_arrow_table()
    table = table.replace_schema_metadata({"made_from": key.decode()})
    written = store.write_with(rel, lambda path: _write_sorted(path, table))
    connection.execute("drop table sorted")
    return [make_entry("compact", rel, len(table), written), *entries]


def _is_made_from(store: Store, rel: str, key: bytes) -> bool:
    """Whether an interrupted attempt has written this block already, of the same shards."""
    if not store.exists(rel):
        return False
    try:
        with store.open(rel) as file:
            known = pq.read_metadata(file)
    except pa.ArrowInvalid:
        return False
    return bool((known.metadata or {}).get(b"made_from") == key)


def _write_sorted(path: str, table: pa.Table) -> None:
    """Row groups of at least MIN_ROWS_PER_GROUP rows, cut where the unit changes."""
    units = table["unit"].to_numpy()
    ends = [0]
    starts = [0, *((units[1:] != units[:-1]).nonzero()[0] + 1).tolist(), len(units)]
    for start in starts[1:]:
        if start - ends[-1] >= MIN_ROWS_PER_GROUP or start == len(units):
            ends.append(start)
    with pq.ParquetWriter(
        path,
        table.schema,
        compression="zstd",
        compression_level=3,
        use_dictionary=["unit"],
        column_encoding={
            "example_id": "BYTE_STREAM_SPLIT",  # a sixth smaller than plain, read as fast
            "activation": "BYTE_STREAM_SPLIT",
            "rank2": "DELTA_BINARY_PACKED",
        },
        write_statistics=["unit", "example_id", "activation"],
        **PAGE_CHECKSUMS,
    ) as writer:
        for begin, end in pairwise(ends):
            writer.write_table(table.slice(begin, end - begin), row_group_size=max(1, end - begin))
