"""Every view of a connection: marts from their files where these are fresh, computed where they are not.

A mart of many runs is the union of the files of the fresh ones and of the same view over the data of the
others alone. These others have the view, and the files below it, a second time, in the schema ``live_run``; so
have datasets in ``live_dataset``. Names without a schema are looked up beside the view first, then in ``main``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import duckdb

from pipeline.base.settings import LabelSettings
from pipeline.tables.computed import DERIVED
from pipeline.tables.schema import TABLES
from pipeline.warehouse.catalog import ask, define
from pipeline.warehouse.contents import Inventory
from pipeline.warehouse.files import warehouse_uri
from pipeline.warehouse.fresh import Marts
from pipeline.warehouse.headers import Source
from pipeline.warehouse.parts import Part
from pipeline.warehouse.raw_views import empty_of, named_select, no_rows, quote
from pipeline.warehouse.small_tables import create_table, small_tables
from pipeline.warehouse.views import (
    MATERIALISED,
    OF_DATASET,
    OF_WAREHOUSE,
    find_source,
    find_view,
    is_view,
)

_GROUPS = {
    "live_dataset": OF_DATASET,
    "live_run": tuple(n for n in MATERIALISED if n not in OF_DATASET + OF_WAREHOUSE),
    "live_all": OF_WAREHOUSE,
}
"""Schemas, and the marts that are computed in each."""

_VIEWS = tuple(name for name in MATERIALISED if name not in DERIVED)
"""Marts that are views; the others are read from files alone."""


def define_marts(
    connection: duckdb.DuckDBPyConnection,
    inventory: Inventory,
    settings: LabelSettings,
    marts: Marts,
    to_build: bool = False,
) -> None:
    """Say what every view over marts is.

    Args:
        connection: With the catalog, small tables and the views of files.
        inventory: Which files there are.
        settings: Parameters of the labelling views.
        marts: Those to answer from.
        to_build: Those that lack will be made, each before those that rest on it (see `use_mart`).
    """
    selects = {f"raw_{name}": derived_select(name, marts.paths(name)) for name in DERIVED}
    mixed: dict[str, list[Part]] = {}
    for schema, names in _GROUPS.items():
        parts = marts.parts_of(names[0])
        stale = [part for part in parts if part in marts.stale]
        fresh = [part for part in parts if part not in stale]
        if parts:
            selects |= _from_files(marts, names, fresh or stale)
        else:  # no run, so no row: it takes DuckDB half a minute to find that out from the views
            selects |= {n: empty_of(find_view(n)) for n in names if n in _VIEWS}
        if fresh and stale:
            mixed[schema] = stale
    made = tuple(selects)
    for name in _VIEWS:
        if name not in made:
            selects[name] = find_source(name).body if to_build else _with_below(name, made)
    define(connection, *selects.items())
    for schema, stale in mixed.items():
        _add_schema(connection, schema, inventory, settings, marts, stale)
        for name in _GROUPS[schema]:
            if name in _VIEWS:
                both = f"{selects[name]}\nunion all by name\nfrom {schema}.{name}"
                define(connection, (name, both))


def mart_body(paths: Iterable[str], uri: Callable[[str], str] = warehouse_uri) -> str:
    """SQL of a mart that lies in files, one or more.

    Args:
        paths: Relative to the warehouse.
        uri: How DuckDB will find them.
    """
    files = ", ".join(quote(uri(path)) for path in paths)
    return f"from read_parquet([{files}], hive_partitioning = false)"


def derived_select(
    name: str, paths: Sequence[str], uri: Callable[[str], str] = warehouse_uri
) -> str:
    """SQL of ``raw_`` of what only a build computes; no rows where there are no files."""
    return mart_body(paths, uri) if paths else no_rows(DERIVED[name])


def use_mart(connection: duckdb.DuckDBPyConnection, name: str, path: str) -> None:
    """Answer a view from the one file that a build has just written."""
    define(connection, (f"raw_{name}" if name in DERIVED else name, mart_body([path])))


def _from_files(marts: Marts, names: Iterable[str], parts: list[Part]) -> dict[str, str]:
    """SQL of the marts that all of some parts have in files."""
    found = {name: marts.paths(name, parts) for name in names if name in _VIEWS}
    return {name: mart_body(paths) for name, paths in found.items() if len(paths) == len(parts)}


def _with_below(name: str, made: Collection[str]) -> str:
    """SQL of a mart, with all views that it rests on in one ``with`` list but for marts that are made.

    DuckDB resolves a view, and so all below it, at each place that names it, but a
    name of a ``with`` list once: `tested_labels` rests on 32 views by 640 ways.
    """
    below = _read_below([name], made)
    body = below.pop(name).body
    listed = ",\n".join(f"{name} as (\n{source.body}\n)" for name, source in below.items())
    return f"with {listed}\nfrom (\n{body}\n)" if below else body


def _read_below(names: Iterable[str], made: Collection[str]) -> dict[str, Source]:
    """Views, and those that they rest on, each after those that it reads; those that are made are left out."""
    found: dict[str, Source] = {}

    def add(name: str) -> None:
        source = find_source(name)
        for read in source.reads:
            if is_view(read) and read not in found and read not in made:
                add(read)
        found[name] = source

    for name in names:
        add(name)
    return found


def _add_schema(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    inventory: Inventory,
    settings: LabelSettings,
    marts: Marts,
    stale: list[Part],
) -> None:
    """The marts of stale parts, over their data alone; marts of other schemas are read where they are."""
    names = [name for name in _VIEWS if name in _GROUPS[schema]]
    selects = _from_files(marts, names, stale)
    lacking = [name for name in names if name not in selects]
    made = {*selects, *(name for name in _VIEWS if name not in names)}
    selects |= {name: _with_below(name, made) for name in lacking}
    below = _read_below(lacking, made).values()
    only = inventory.only([(p.dataset, run) for p in stale for run in p.runs or (None,)])
    empty = {name: empty_of(find_view(name)) for name in names}
    for name, table in (TABLES | DERIVED).items():
        if any(f"raw_{name}" in source.reads for source in below):
            sql = derived_select(name, marts.paths(name, stale)) if name in DERIVED else ""
            selects[f"raw_{name}"] = sql or named_select(only, table)
            empty[f"raw_{name}"] = no_rows(table)
    define(connection, *((f"{schema}_{name}", select) for name, select in empty.items()))
    connection.execute(f"create schema {schema}")
    connection.execute(f"set search_path = '{schema},main'")
    for name, rows, columns in small_tables(only, settings):
        create_table(connection, name, rows, columns)
    created = (f"create view {name} as {ask(f'{schema}_{name}')}" for name in empty)
    connection.execute(";\n".join(created))
    connection.execute("set search_path = 'main'")
    define(connection, *((f"{schema}_{name}", select) for name, select in selects.items()))
