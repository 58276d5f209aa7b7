"""Compaction: a run's activations in their final form, sorted and ranked, for fast questions.

Per block of units: rows sorted by (unit, activation desc, example_id), float32 with byte-stream split,
row groups of at least 122,880 rows cut at unit borders, and ``rank2``, twice the ascending mid-rank of
the activation among all examples of the run. The top k of a neuron is then a prefix, and an AUROC is a
join and a sum. The shards stay the truth until ``compact.json`` is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import LabelSettings, digest
from pipeline.dataset import dataset_folder
from pipeline.errors import WarehouseError
from pipeline.inventory import Inventory, take_inventory
from pipeline.progress import NoProgress, ProgressCallback
from pipeline.storage import Store, partition
from pipeline.warehouse import explain_damage, open_views

MIN_ROWS_PER_GROUP = 122_880
ROWS_PER_BLOCK = 20_000_000
"""Rows sorted in memory at once: about 0.5 GB; a block is as many units as fit, at least one."""

# Absent activations are zero or below (a run that stores 'positive'), so ranks from the top are
# known from the stored rows alone: among n examples the mid-rank from below is n + 1 minus the
# mid-rank from above.
_SORTED = """
with

block as (
    select unit, example_id, activation
    from stg_activations
    where
        dataset = $dataset and run_id = $run_id and layer = $layer
        and unit >= $first_unit and unit < $end_unit
),

ranked as (
    select
        unit,
        example_id,
        activation,
        rank() over (partition by unit order by activation desc) as first_place,
        count(*) over (partition by unit, activation) as tie_count,
    from block
)

select
    unit::uinteger as unit,
    example_id,
    activation,
    2 * ($example_count + 1) - (2 * first_place + tie_count - 1) as rank2,
from ranked
order by unit, activation desc, example_id
"""


@dataclass(frozen=True)
class CompactSummary:
    """What was compacted."""

    run_count: int
    skipped_run_count: int
    """Runs that were compacted already and have no new shard since."""
    row_count: int
    bytes_before: int
    bytes_after: int


def compact(
    warehouse: str, run_id: str | None = None, progress: ProgressCallback | None = None
) -> CompactSummary:
    """Compact every run of a warehouse, or one. Blocks that are done are kept if it is interrupted.

    Raises:
        WarehouseError: No such run, or nothing extracted yet.
    """
    store, progress = Store(warehouse), progress or NoProgress()
    inventory = take_inventory(store)
    runs = [run for run in inventory.runs if run_id in (None, run["run_id"])]
    if not runs:
        known = ", ".join(run["run_id"] for run in inventory.runs) or "none"
        raise WarehouseError(
            f"There is no run {run_id or ''!r} in {warehouse}.", f"Runs there: {known}."
        )
    todo = [run for run in runs if not run["is_compacted"]]
    totals = [0, 0, 0]
    try:
        with open_views(inventory, LabelSettings()) as connection:
            for run in todo:
                done = _compact_run(connection, inventory, run, progress)
                totals = [a + b for a, b in zip(totals, done, strict=True)]
    except duckdb.Error as error:
        raise explain_damage(error, str(warehouse)) from error
    return CompactSummary(len(todo), len(runs) - len(todo), *totals)


def _compact_run(
    connection: duckdb.DuckDBPyConnection,
    inventory: Inventory,
    run: dict[str, Any],
    progress: ProgressCallback,
) -> tuple[int, int, int]:
    store = inventory.store
    where = {"dataset": run["dataset"], "run_id": run["run_id"]}
    folder = f"{dataset_folder(run['dataset'])}/{partition(run_id=run['run_id'])}"
    shards = [s for s in inventory.run_shards if s["run_id"] == run["run_id"]]
    shards = [s for s in shards if s["dataset"] == run["dataset"] and s["status"] == "done"]
    ordinals = sorted(shard["shard_ordinal"] for shard in shards)
    example_count = sum(shard["written_count"] for shard in shards)
    version = digest(ordinals)  # open connections may still read the version before
    mine = f"{folder}/activations/"
    before = sum(f["bytes"] for f in inventory.files if f["path"].startswith(mine))
    files: list[dict[str, Any]] = []
    for layer in run["layers"]:
        blocks = _blocks(connection, {**where, "layer": layer})
        progress.start(f"compact {layer}", len(blocks))
        for number, (first, end) in enumerate(blocks):
            rel = f"{folder}/compact/{version}/{partition(layer=layer)}/{number:05d}.parquet"
            values = {**where, "layer": layer, "first_unit": first, "end_unit": end}
            values["example_count"] = example_count
            file = _compact_block(connection, store, rel, values, ordinals)
            files.append({"table": "compact", "path": rel, "layer": layer, **file})
            progress.advance(1, f"units {first}..{end - 1}: {file['row_count']} rows")
        progress.finish()
    record = {"ordinals": ordinals, "example_count": example_count, "files": files}
    before_this = _read_version(store, folder)
    store.write_json(f"{folder}/compact.json", {"version": version, **record})
    for name in store.list(f"{folder}/compact"):
        if name not in (version, before_this):
            store.fs.rm(store.path(f"{folder}/compact/{name}"), recursive=True)
    rows = sum(file["row_count"] for file in files)
    return rows, before, sum(file["bytes"] for file in files)


def _read_version(store: Store, folder: str) -> str:
    path = f"{folder}/compact.json"
    return str(store.read_json(path)["version"]) if store.exists(path) else ""


def _blocks(connection: duckdb.DuckDBPyConnection, where: dict[str, Any]) -> list[tuple[int, int]]:
    """Ranges of units whose rows fit in memory together."""
    counts = connection.execute(
        """
        select layers.unit_count, count(*)
        from layers
        inner join stg_activations using (dataset, run_id, layer)
        where layers.dataset = $dataset and layers.run_id = $run_id and layers.layer = $layer
        group by all
        """,
        where,
    ).fetchall()
    if not counts:
        return []
    ((units, rows),) = counts
    step = max(1, int(units * ROWS_PER_BLOCK / rows))
    return [(first, min(first + step, units)) for first in range(0, units, step)]


def _compact_block(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    rel: str,
    values: dict[str, Any],
    ordinals: list[int],
) -> dict[str, Any]:
    marker = {**values, "ordinals": ordinals}
    key = str(sorted(marker.items())).encode()
    if store.exists(rel):  # from an interrupted attempt: kept if it is of the same shards
        with store.open(rel) as file:
            known = pq.read_metadata(file)
        if (known.metadata or {}).get(b"made_from") == key:
            return {"row_count": known.num_rows, "bytes": store.size(rel)}
    table = connection.sql(_SORTED, params=values).to_arrow_table()
    table = table.replace_schema_metadata({"made_from": key.decode()})
    size = store.write_with(rel, lambda path: _write_sorted(path, table))
    return {"row_count": len(table), "bytes": size}


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
    ) as writer:
        for begin, end in pairwise(ends):
            writer.write_table(table.slice(begin, end - begin), row_group_size=max(1, end - begin))
