"""What a connection holds in memory: the rows of manifests, settings and prompts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import duckdb

from pipeline.base.settings import LabelSettings
from pipeline.tables.records import Moment, Small
from pipeline.warehouse.contents import (
    ClassSetRow,
    Inventory,
    LayerRow,
    RunRow,
    RunShardRow,
    ShardRow,
)
from pipeline.warehouse.own_concepts import facet_prompts


class SmallTable(NamedTuple):
    """A table that is made anew in every connection."""

    name: str
    rows: Sequence[tuple[object, ...]]
    """In the order of the columns."""
    columns: str
    """As ``create table`` takes them."""


def small_tables(inventory: Inventory, settings: LabelSettings) -> Iterator[SmallTable]:
    """All of them."""
    yield SmallTable("raw_shards", inventory.shards, _columns(ShardRow))
    yield SmallTable("raw_runs", inventory.runs, _columns(RunRow))
    yield SmallTable("raw_layers", inventory.layers, _columns(LayerRow))
    yield SmallTable("raw_run_shards", inventory.run_shards, _columns(RunShardRow))
    yield SmallTable("raw_class_sets", inventory.class_sets, _columns(ClassSetRow))
    yield SmallTable(
        "facet_prompts",
        facet_prompts(inventory.own_concepts),
        "class_set varchar, facet varchar, prompt varchar",
    )
    yield SmallTable(
        "settings",
        [astuple(settings)],
        "label_top_k integer, label_max_q double, label_min_count integer, "
        "concept_min_count integer, label_origins varchar[], label_null_repeats integer, "
        "similarity_min_score double, facet_min_count integer, facet_min_auroc double, "
        "facet_max_p double, default_language varchar, text_kinds varchar[], "
        "sd_bin_width double, sd_bin_offset double",
    )


_KINDS = {
    str: "varchar",
    bool: "boolean",
    int: "bigint",
    float: "double",
    Small: "integer",
    Moment: "timestamptz",
}
"""What DuckDB calls them."""


def _columns(row: type[tuple[object, ...]]) -> str:
    """The columns of a table whose rows are of a kind."""
    kinds = get_type_hints(row, include_extras=True)
    return ", ".join(f"{name} {_kind(kind)}" for name, kind in kinds.items())


def _kind(python: Any) -> str:
    if get_origin(python) in (UnionType, Union):  # or null
        return _kind(get_args(python)[0])
    if get_origin(python) is list:
        return _kind(get_args(python)[0]) + "[]"
    return _KINDS[python]


def fill_small_tables(
    connection: duckdb.DuckDBPyConnection,
    inventory: Inventory,
    settings: LabelSettings,
    schema: str = "main",
) -> None:
    """Put rows into all of them, in a schema where they are; our own prompts are there already."""
    for name, rows, columns in small_tables(inventory, settings):
        if name == "facet_prompts" and inventory.own_concepts is None:
            continue
        if name == "facet_prompts":
            connection.execute(f"delete from {schema}.{name}")
        fill_table(connection, f"{schema}.{name}", rows, columns)


def create_table(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    rows: Sequence[tuple[object, ...]],
    columns: str,
) -> None:
    """Make one of them and fill it; it stays empty where there are no rows."""
    connection.execute(f"create table {name} ({columns})")
    fill_table(connection, name, rows, columns)


def fill_table(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    rows: Sequence[tuple[object, ...]],
    columns: str,
) -> None:
    """Put rows into a table that is there.

    Columns go as JSON: as lists they take DuckDB three times as long, and pyarrow and NumPy, which would be
    quicker, a fifth of a second to import.
    """
    if rows:
        kinds = [_TEXTS.get(kind, kind) for kind in (c.split()[-1] for c in columns.split(", "))]
        values: list[object] = []
        selects: list[str] = []
        for number, (column, kind) in enumerate(
            zip(zip(*rows, strict=True), kinds, strict=True), 1
        ):
            is_same = number < len(kinds) and column.count(column[0]) == len(column)
            values.append(column[0] if is_same else json.dumps(column))
            select = f"unnest(from_json_strict(${number}, {_shape(kind)}))"
            selects.append(f"${number}::{kind}" if is_same else select)
        connection.execute(f"insert into {name} select {', '.join(selects)}", values)


def _shape(kind: str) -> str:
    """A list of a kind, as DuckDB's JSON functions take it."""
    one = kind.removesuffix("[]")
    return f"""'[["{one}"]]'""" if kind.endswith("[]") else f"""'["{one}"]'"""


_TEXTS = {"timestamptz": "varchar"}
"""What comes as text, and what it becomes in the table."""
