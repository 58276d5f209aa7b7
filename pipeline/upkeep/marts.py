"""Writing one mart of one part: asked of its view, computed, or grown from the one before.

What a mart grows from is a file that an earlier build named, and it is only read. A build that is killed
leaves it and the record as they were, so the next one finds it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.progress import ProgressCallback
from pipeline.tables.computed import DERIVED, FASTER
from pipeline.tables.manifests import FileEntry, make_entry
from pipeline.tables.schema import TABLES
from pipeline.upkeep.blocks import list_blocks, take_blocks, write_tables
from pipeline.warehouse.catalog import define
from pipeline.warehouse.contents import Inventory
from pipeline.warehouse.files import warehouse_uri
from pipeline.warehouse.growth import (
    GROWING,
    KEEPING,
    ORIGIN_KEY,
    Origin,
    files_of_shards,
    find_added,
    rows_of_shards,
)
from pipeline.warehouse.live import use_mart
from pipeline.warehouse.parts import Fingerprints, Part
from pipeline.warehouse.raw_views import Scan, named_select, no_rows, quote, raw_select
from pipeline.warehouse.views import find_view

if TYPE_CHECKING:
    from pipeline.evidence.computed import Compute, Keep


class Made(NamedTuple):
    """A mart that a build made."""

    part: Part
    name: str
    seconds: float
    added: int | None
    """Shards that it grew by; None if it did not grow, but was made whole."""


class Before(NamedTuple):
    """A mart to grow from."""

    path: str
    added: Sequence[int]
    """Ordinals of the shards that it lacks."""

    @property
    def select(self) -> str:
        """SQL of its rows."""
        return f"from read_parquet({quote(warehouse_uri(self.path))}, hive_partitioning = false)"


def find_before(
    names: Fingerprints, part: Part, name: str, known: Sequence[FileEntry]
) -> Before | None:
    """The earlier mart that needs least to become the one of now, or None.

    Args:
        names: What there is now.
        part: Of what.
        name: Of the mart.
        known: The marts that an earlier build names.
    """
    found: list[Before] = []
    for file in known if name in GROWING or name in KEEPING else ():
        path, store = file["path"], names.inventory.store
        if file["table"] != name or path.rpartition("/")[0] != part.folder:
            continue
        if not store.exists(path) or store.size(path) != file["bytes"]:
            continue
        with store.open(path) as opened:
            metadata = pq.read_metadata(opened).metadata or {}
        added = find_added(names, part, name, metadata)
        if added is not None:
            found.append(Before(path, added))
    return min(found, key=lambda before: len(before.added), default=None)


def write_mart(
    connection: duckdb.DuckDBPyConnection,
    names: Fingerprints,
    part: Part,
    name: str,
    before: Before | None,
    progress: ProgressCallback,
) -> FileEntry:
    """Write a mart, and answer from it from now on.

    Args:
        connection: With every view, over the data of the part alone.
        names: What it is called.
        part: Of what.
        name: Of the mart.
        before: What it grows from.
        progress: For what is computed.
    """
    store, rel = names.inventory.store, names.path(part, name)
    tells_origin = name in GROWING or name in KEEPING
    origin = Origin.of(names, part, name).to_json() if tells_origin else ""

    def copy(path: str) -> None:
        view, select, options = find_view(name), f"from {name}", "format parquet, compression zstd"
        if before and not GROWING[name].earlier:
            select = f"{before.select} union all by name {select}"
        if origin:
            options += f", kv_metadata {{{ORIGIN_KEY}: {quote(origin)}}}"
        order = f" order by {', '.join(view.key)}" if view.key else ""
        connection.execute(f"copy (from ({select}){order}) to {quote(path)} ({options})")

    def compute(path: str) -> None:
        schema, tables = _find_computation(part, name, before)
        if origin:
            schema = schema.with_metadata({ORIGIN_KEY: origin})
        blocks = list_blocks(names, part, name)
        if any(store.exists(block.path) for block in blocks):
            write_tables(path, schema, take_blocks(connection, names, blocks))
        else:
            write_tables(path, schema, tables(connection, progress))

    if before and name in GROWING:
        with _added_alone(connection, part.of(names.inventory), name, before):
            written = store.write_with(rel, copy)
    else:
        written = store.write_with(rel, compute if name in DERIVED or name in FASTER else copy)
    use_mart(connection, name, rel)
    with store.open(rel) as file:
        row_count = int(pq.read_metadata(file).num_rows)
    return make_entry(name, rel, row_count, written)


def _find_computation(part: Part, name: str, before: Before | None) -> tuple[pa.Schema, Compute]:
    from pipeline.evidence import computed  # torch: only if needed

    if name in FASTER:
        return computed.FASTER[name]
    if before:
        return DERIVED[name].arrow_schema(), _keeping(computed.KEEPING[name], before.select)
    known = computed.COMPUTED_OF_TWO if len(part.runs) == 2 else computed.COMPUTED
    return DERIVED[name].arrow_schema(), known[name]


def _keeping(compute: Keep, earlier: str) -> Compute:
    return lambda connection, progress: compute(connection, progress, earlier)


@contextmanager
def _added_alone(
    connection: duckdb.DuckDBPyConnection, inventory: Inventory, name: str, before: Before
) -> Iterator[None]:
    """In the block, the table that a mart grows by is that of the shards that were added, and of what the mart
    keeps of the others."""
    grows = GROWING[name]
    table = TABLES[grows.table]

    def place(scan: Scan) -> str:
        return f"[{', '.join(quote(warehouse_uri(file['path'])) for file in scan.entries)}]"

    files = files_of_shards(inventory.files_of(table.name), before.added)
    added = raw_select(replace(inventory, files=files), table, place)
    select = (
        f"from ({added}) where {rows_of_shards(before.added)}" if before.added else no_rows(table)
    )
    if grows.earlier:
        select = f"with earlier as ({before.select}) ({select}) union all by name ({grows.earlier})"
    define(connection, (f"raw_{table.name}", select))
    try:
        yield
    finally:
        define(connection, (f"raw_{table.name}", named_select(inventory, table)))
