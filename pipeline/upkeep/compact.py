"""Compaction: a run's activations in their final form, sorted and ranked, for fast questions.

Per block of units: rows sorted by (unit, activation desc, example_id), float32 with byte-stream split,
row groups of at least 122,880 rows cut at unit borders, and ``rank2``, twice the ascending mid-rank of
the activation among the distinct images of the same half of the run. The top k of a neuron is then a
prefix, and an AUROC is a join and a sum. The shards stay the truth until ``compact.json`` is written.
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
from pipeline.tables.runs import CompactRecord
from pipeline.tables.schema import TABLES
from pipeline.tables.snapshots import write_snapshot
from pipeline.upkeep import compact_queries as queries
from pipeline.upkeep.merge import merge_run
from pipeline.warehouse.connect import open_views, take_whole_inventory
from pipeline.warehouse.contents import Inventory, RunRow
from pipeline.warehouse.find import spell_out_run
from pipeline.warehouse.inventory import RANKS_FORM
from pipeline.warehouse.left_out import refuse_left_out

MIN_ROWS_PER_GROUP = 122_880
ROWS_PER_BLOCK = 20_000_000
"""Rows sorted in memory at once: about 0.5 GB; a block is as many units as fit, at least one."""


@dataclass(frozen=True)
class CompactSummary:
    """What was compacted."""

    run_count: int
    skipped_run_count: int
    """Runs that were compacted already and have no new shard since."""
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
    warehouse: str, run_id: str | None = None, progress: ProgressCallback | None = None
) -> CompactSummary:
    """Compact every run of a warehouse, or one, and merge its partial statistics.

    Blocks and merges that are done are kept if it is interrupted.

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
    merge_count = sum(merge_run(store, folder, None, progress).merge_count for folder in folders)
    todo = [run for run in runs if not run.is_compacted]
    for run in (run for run in runs if run.is_compacted):
        folder = run_folder(run.dataset, run.run_id)
        with hold_lock(store, f"{folder}/compact.lock") as lock:
            _clear_leftovers(store, lock, folder)
            _drop_versions(store, folder, set(_read_versions(store, folder)))
    totals = [0, 0, 0]
    with faults_told(str(warehouse)), open_views(inventory, LabelSettings()) as connection:
        for run in todo:
            folder = run_folder(run.dataset, run.run_id)
            with hold_lock(store, f"{folder}/compact.lock") as lock:
                _clear_leftovers(store, lock, folder)
                done = _compact_run(connection, inventory, run, progress)
            totals = [a + b for a, b in zip(totals, done, strict=True)]
    for folder in folders:
        write_snapshot(store, folder)
    return CompactSummary(len(todo), len(runs) - len(todo), merge_count, *totals)


def _compact_run(
    connection: duckdb.DuckDBPyConnection,
    inventory: Inventory,
    run: RunRow,
    progress: ProgressCallback,
) -> tuple[int, int, int]:
    store = inventory.store
    folder = run_folder(run.dataset, run.run_id)
    shards = [s for s in inventory.run_shards if (s.dataset, s.run_id) == (run.dataset, run.run_id)]
    ordinals = sorted(shard.shard_ordinal for shard in shards if shard.status == "done")
    version = inventory.compact_versions[folder]()
    mine = f"{folder}/activations/"
    before = sum(f["bytes"] for f in inventory.files if f["path"].startswith(mine))
    files: list[FileEntry] = []
    for layer in run.layers:
        blocks = _list_blocks(connection, run, layer)
        progress.start(f"compact {layer}", len(blocks))
        for number, block in enumerate(blocks):
            rel = f"{folder}/compact/{version}/{partition(layer=layer)}/{number:05d}.parquet"
            rows, stats = _compact_block(connection, store, rel, block, version)
            for entry in (rows, stats):
                entry["layer"] = layer
                files.append(entry)
            units = f"units {block.first_unit}..{block.end_unit - 1}"
            progress.advance(1, f"{units}: {rows['row_count']} rows")
        progress.finish()
    known = _read_versions(store, folder)
    previous = known[0] if known[0] != version else known[1]  # open connections may still read it
    record: CompactRecord = {
        "version": version,
        "form": RANKS_FORM,
        "ordinals": ordinals,
        "files": files,
        "previous": previous,
    }
    store.write_record(f"{folder}/compact.json", record)
    _drop_versions(store, folder, {version, previous})
    row_count = sum(file["row_count"] for file in files if file["table"] == "compact")
    return row_count, before, sum(file["bytes"] for file in files)


def _read_versions(store: Store, folder: str) -> tuple[str, str]:
    """The version that is in use and the one before; empty if there is none."""
    path = f"{folder}/compact.json"
    if not store.exists(path):
        return "", ""
    record = read_record(store, path, CompactRecord)
    return record["version"], record.get("previous", "")


def _drop_versions(store: Store, folder: str, keep: set[str]) -> None:
    """Remove blocks of other versions; open connections may still read the one before."""
    for name in store.list(f"{folder}/compact"):
        if name not in keep:
            store.fs.rm(store.path(f"{folder}/compact/{name}"), recursive=True)


def _clear_leftovers(store: Store, lock: Lock, folder: str) -> None:
    """What a killed compaction left half-written; its whole blocks are used again."""
    clear_half_written_below(store, lock, f"{folder}/compact")
    clear_half_written(store, lock, folder, prefix="compact.json")


def _list_blocks(connection: duckdb.DuckDBPyConnection, run: RunRow, layer: str) -> list[_Block]:
    """The blocks of a layer, whose rows fit in memory."""
    counts = connection.execute(
        """
        select layers.unit_count, count(*)
        from layers
        inner join stg_activations using (dataset, run_id, layer)
        where layers.dataset = $dataset and layers.run_id = $run_id and layers.layer = $layer
        group by all
        """,
        {"dataset": run.dataset, "run_id": run.run_id, "layer": layer},
    ).fetchall()
    if not counts:
        return []
    ((units, rows),) = counts
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
) -> tuple[FileEntry, FileEntry]:
    """The files of one block: its sorted rows and its statistics."""
    key = str(sorted({**block._asdict(), "version": version}.items())).encode()
    stats_rel = f"{rel.removesuffix('.parquet')}-stats.parquet"
    if _is_made_from(store, rel, key):  # the rows are written last
        made = adopt_file(store, "compact", rel), adopt_file(store, "compact_stats", stats_rel)
        if made[0] is not None and made[1] is not None:
            return made[0], made[1]
    connection.execute(queries.SORTED, block._asdict())
    schema = TABLES["compact_stats"].arrow_schema()
    stats = connection.sql(queries.STATS).to_arrow_table().cast(schema)
    stats_entry = make_entry(
        "compact_stats", stats_rel, len(stats), store.write_parquet(stats_rel, stats)
    )
    table = connection.sql(queries.ROWS).to_arrow_table()
    table = table.replace_schema_metadata({"made_from": key.decode()})
    written = store.write_with(rel, lambda path: _write_sorted(path, table))
    connection.execute("drop table sorted")
    return make_entry("compact", rel, len(table), written), stats_entry


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
