"""Blocks of a mart: the rows of some units of a layer, each a file of its own, that many processes write.

Blocks lie below the marts of their part and are named by the hash of their mart: what it rests on. The mart
is put together from those that are there and whole, and the others are computed; then they are cleared away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.storage import PAGE_CHECKSUMS
from pipeline.tables.computed import BY_UNITS, DERIVED
from pipeline.tables.manifests import adopt_file
from pipeline.warehouse.parts import Fingerprints, Part

UNITS_PER_BLOCK = 512
"""Units of a block; how much of it is in memory at once depends on the images alone."""


class Block(NamedTuple):
    """Some units of a layer, of one mart."""

    mart: str
    layer: str
    first: int
    end: int
    """One past the last unit."""
    path: str
    """Where its rows lie."""

    @property
    def told(self) -> str:
        """What it is called."""
        return f"{self.mart} {self.layer} {self.first}..{self.end - 1}"


def list_blocks(names: Fingerprints, part: Part, mart: str) -> list[Block]:
    """The blocks of a mart of a run, in the order of its rows; none if it is not made of blocks."""
    if mart not in BY_UNITS or len(part.runs) != 1:
        return []
    layers = sorted(part.of(names.inventory).layers, key=lambda row: row.layer)
    cuts = [
        (row.layer, first, min(first + UNITS_PER_BLOCK, row.unit_count))
        for row in layers
        for first in range(0, row.unit_count, UNITS_PER_BLOCK)
    ]
    folder = f"{part.folder}/blocks/{mart}-{names.of(part, mart)}"
    return [Block(mart, *cut, f"{folder}-{n:05d}.parquet") for n, cut in enumerate(cuts)]


def write_block(connection: duckdb.DuckDBPyConnection, names: Fingerprints, block: Block) -> None:
    """Write a block, if it is not there and whole.

    Args:
        connection: With every view, over the data of the part alone.
        names: Of the marts.
        block: Which.
    """
    from pipeline.evidence.computed import FASTER  # torch: only if needed

    store = names.inventory.store
    if adopt_file(store, block.mart, block.path) is None:
        is_view = block.mart in FASTER
        schema = FASTER[block.mart][0] if is_view else DERIVED[block.mart].arrow_schema()
        tables = _compute(connection, block)
        store.write_with(block.path, lambda path: write_tables(path, schema, tables))


def take_blocks(
    connection: duckdb.DuckDBPyConnection, names: Fingerprints, blocks: Sequence[Block]
) -> Iterator[pa.Table]:
    """The rows of all blocks of a mart; those that are not there and whole are computed."""
    store = names.inventory.store
    for block in blocks:
        if adopt_file(store, block.mart, block.path) is None:
            yield from _compute(connection, block)
            continue
        with store.open(block.path) as file:
            for batch in pq.ParquetFile(file).iter_batches():
                yield pa.Table.from_batches([batch])


def write_tables(path: str, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """A Parquet file of tables, one after the other."""
    with pq.ParquetWriter(path, schema, compression="zstd", **PAGE_CHECKSUMS) as writer:
        for table in tables:
            writer.write_table(table)


def _compute(connection: duckdb.DuckDBPyConnection, block: Block) -> Iterator[pa.Table]:
    from pipeline.evidence import computed
    from pipeline.evidence.matrix import list_whole_layers

    of_units = computed.BY_UNITS[block.mart]
    for layer in list_whole_layers(connection):
        if layer.layer == block.layer:
            yield from of_units(connection, layer, range(block.first, block.end))
