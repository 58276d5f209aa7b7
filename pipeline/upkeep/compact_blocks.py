"""Sorting a block of units of a compaction, and writing its files: by one process, or by many at once.

A block's files are the same bytes whoever writes them, and its rows come last: what is there and of the same
shards is not made again. Who writes a block holds its lock, so that nobody else does meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.leftovers import clear_half_written
from pipeline.base.locks import hold_lock
from pipeline.base.progress import ProgressCallback
from pipeline.base.storage import PAGE_CHECKSUMS, Store
from pipeline.tables.manifests import FileEntry, adopt_file, make_entry
from pipeline.tables.schema import TABLES
from pipeline.upkeep import compact_queries as queries
from pipeline.upkeep.compact_plan import Block, Level
from pipeline.warehouse.files import warehouse_uri
from pipeline.warehouse.raw_views import quote

MIN_ROWS_PER_GROUP = 122_880

ROWS_AT_ONCE = 1 << 20
"""Rows whose activations are added up at once."""


def write_blocks(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    level: Level,
    blocks: Sequence[Block],
    progress: ProgressCallback,
) -> list[FileEntry]:
    """Write the files of blocks; those that are there, whole and made from the same stay.

    Args:
        connection: With every view.
        store: The warehouse.
        level: Of which they are.
        blocks: All of it or some, layer by layer.
        progress: Told of every block.

    Returns:
        Three for each block: its rows, statistics and counts.
    """
    connection.execute(
        queries.UNIVERSE,
        {"dataset": level.run.dataset, "run_id": level.run.run_id, "ordinals": level.ordinals},
    )
    files: list[FileEntry] = []
    for layer, some in groupby(blocks, key=lambda block: block.layer):
        mine = list(some)
        paths = ", ".join(quote(warehouse_uri(file["path"])) for file in level.files_of(layer))
        connection.execute(queries.SOURCE.format(files=paths))
        progress.start(f"compact {layer}", len(mine))
        for block in mine:
            with hold_lock(store, f"{block.path}.lock") as lock:
                folder, _, name = block.path.rpartition("/")
                clear_half_written(store, lock, folder, prefix=name.removesuffix(".parquet"))
                entries = _write_block(connection, store, block)
            for entry in entries:
                entry["layer"] = layer
            files += entries
            progress.advance(1, f"{block.told}: {entries[0]['row_count']} rows")
        progress.finish()
    return files


def _write_block(
    connection: duckdb.DuckDBPyConnection, store: Store, block: Block
) -> list[FileEntry]:
    """The files of one block: first its statistics and counts, then its sorted rows."""
    rel = block.path
    key = str(sorted({**block.units, "version": block.version}.items())).encode()
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
    connection.execute(queries.SORTED, block.units)
    rows = connection.sql(queries.ROWS).to_arrow_table()
    stats = connection.sql(queries.STATS).to_arrow_table()
    stats = stats.append_column("activation_sum", _add_up(rows, stats, block.end_unit))
    counts = connection.sql(queries.COUNTS).to_arrow_table()
    connection.execute("drop table sorted")
    entries = []
    for table, found_rows in (("compact_stats", stats), ("compact_counts", counts)):
        schema = TABLES[table].arrow_schema()
        found_rows = found_rows.select(schema.names).cast(schema)
        written = store.write_parquet(beside[table], found_rows)
        entries.append(make_entry(table, beside[table], len(found_rows), written))
    rows = rows.drop_columns(["is_testing"])
    rows = rows.replace_schema_metadata({"made_from": key.decode()})
    written = store.write_with(rel, lambda path: _write_sorted(path, rows))
    return [make_entry("compact", rel, len(rows), written), *entries]


def _add_up(rows: pa.Table, stats: pa.Table, end_unit: int) -> pa.Array:
    """Sums of activations for each row of ``stats``, added in the order of ``rows``: the same to the last
    bit however many threads and processes there are, which SQL's sums are not.
    """
    sums = np.zeros(2 * end_unit)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = rows.slice(start, ROWS_AT_ONCE)
        some = some.filter(some["is_testing"].is_valid())
        at = 2 * some["unit"].to_numpy().astype(np.int64) + some["is_testing"].to_numpy()
        sums += np.bincount(at, some["activation"].to_numpy(), minlength=len(sums))
    halves = np.array([half == "testing" for half in stats["half"].to_pylist()], np.int64)
    return pa.array(sums[2 * stats["unit"].to_numpy().astype(np.int64) + halves])


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
