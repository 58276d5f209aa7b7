"""The views ``raw_...``: exactly the files that manifests name, in every form that they ever had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import duckdb

from pipeline.base.errors import NeuronsError, WarehouseError
from pipeline.base.faults import faults_told
from pipeline.tables.columns import Table
from pipeline.tables.manifests import FileEntry
from pipeline.tables.schema import TABLES
from pipeline.warehouse.contents import Inventory
from pipeline.warehouse.files import warehouse_uri
from pipeline.warehouse.headers import View

_HIVE_TYPES = "hive_partitioning = true, hive_types = {%s}"


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def create_raw_views(connection: duckdb.DuckDBPyConnection, inventory: Inventory) -> None:
    """Make all of them. A run or dataset whose files have other columns than ours is left out.

    DuckDB sees to it that all files are there, and reads the columns of the first of each run and
    format. Another one that is damaged is an error of the queries that read it.

    Raises:
        NeuronsError: Nothing can be read then; or the machine is in the way.
    """
    place, tables = inventory.store.url, [t for t in TABLES.values() if t.name != "compact"]
    connection.execute("begin")
    try:
        with faults_told(place):
            for table in tables:
                connection.execute(raw_view(inventory, table, warehouse_uri))
        made = _read_kinds(connection)
        is_good = all(_kinds(table) == made[table.name] for table in tables)
    except (duckdb.Error, WarehouseError):
        is_good = False
    connection.execute("commit" if is_good else "rollback")
    if is_good:
        return
    for table in tables:
        for scan in _list_scans(inventory, table, warehouse_uri):
            if problem := _find_problem(connection, table, scan, place):
                inventory.leave_out(scan.owner, problem)
    inventory.tell_left_out()
    for table in tables:
        with faults_told(place):
            connection.execute(raw_view(inventory, table, warehouse_uri))


def raw_view(inventory: Inventory, table: Table, uri: Callable[[str], str]) -> str:
    """SQL of ``raw_<table>``: the files that manifests name, or no rows at all.

    Args:
        inventory: Which files there are.
        table: Which table.
        uri: How DuckDB will find a file, from its path relative to the warehouse.
    """
    scans = [scan.sql for scan in _list_scans(inventory, table, uri)]
    if not scans:
        return empty_view(table)
    body = "\nunion all by name\n".join(scans)
    return f"create or replace view raw_{table.name} as\n{body}"


def empty_view(table: Table) -> str:
    """SQL of ``raw_<table>`` without rows."""
    columns = [f"null::varchar as {name}" for name in table.partitions]
    columns += [f"null::{c.duckdb} as {c.name}" for c in table.columns]
    if table.name == "activations":
        columns += ["null::bigint as rank2", "null::boolean as is_ranked"]
    select = f"select {', '.join(columns)} where false"
    return f"create or replace view raw_{table.name} as\n{select}"


@dataclass(frozen=True)
class _Scan:
    """The files of a table that one run, or a dataset, has in one format."""

    owner: str
    """The run's or the dataset's folder."""
    written: int
    """Their format."""
    files: str
    """``read_parquet`` of them."""
    sql: str
    """A select of the table's columns from them."""
    is_ranked: bool
    """Whether they have ranks."""


def _list_scans(inventory: Inventory, table: Table, uri: Callable[[str], str]) -> list[_Scan]:
    if table.name != "activations":
        return list(_scans(inventory.files_of(table.name), table, uri))
    unranked = ", null::bigint as rank2, false as is_ranked"
    return [
        *_scans(inventory.files_of("activations"), table, uri, unranked),
        *_scans(inventory.files_of("compact"), table, uri, ", rank2, true as is_ranked", True),
    ]


def _scans(
    files: list[FileEntry],
    table: Table,
    uri: Callable[[str], str],
    extra: str = "",
    is_ranked: bool = False,
) -> Iterator[_Scan]:
    """One scan for each run and format: within these all files of a table have the same columns.

    So DuckDB reads the schema of the first file alone; to unite schemas it would open every file.
    """
    hive = _HIVE_TYPES % ", ".join(f"{name}: varchar" for name in table.partitions)
    groups: dict[tuple[str, int], list[str]] = {}
    for file in files:
        run = "/".join(file["path"].split("/")[: len(table.partitions[:2])])
        groups.setdefault((run, file["format"]), []).append(quote(uri(file["path"])))
    for (owner, written), paths in groups.items():
        scan = f"read_parquet([\n{_lines(paths)}], {hive})"
        select = f"select {_columns(table, written)}{extra} from {scan}"
        yield _Scan(owner, written, scan, select, is_ranked)


def _find_problem(
    connection: duckdb.DuckDBPyConnection, table: Table, scan: _Scan, place: str
) -> NeuronsError | None:
    """What is wrong with the files of a scan, if anything."""
    try:
        with faults_told(place):
            rows = connection.execute(f"describe from {scan.files}").fetchall()
    except NeuronsError as error:
        return error
    found = {name: _kind(kind) for name, kind, *_ in rows}
    wanted = {c.name: _kind(c.duckdb) for c in table.columns if c.since <= scan.written}
    if scan.is_ranked:
        wanted["rank2"] = _kind("bigint")
    for name, kind in wanted.items():
        if found.get(name) != kind:
            was = f"of another kind ({found[name]})" if name in found else "missing"
            return WarehouseError(
                f"The column {name} of the table {table.name} is {was} in {scan.owner}.",
                "Another version or program wrote it. Make it again with: "
                f"neurons repair --dataset {scan.owner.split('/')[0].removeprefix('dataset=')}",
            )
    return None


def _read_kinds(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Kinds of the columns of the views, as they were when they were made: no file is read again."""
    rows = connection.execute(
        "select table_name, column_name, data_type from duckdb_columns() "
        "where starts_with(table_name, 'raw_')"
    ).fetchall()
    kinds: dict[str, dict[str, str]] = {}
    for view, column, kind in rows:
        kinds.setdefault(view.removeprefix("raw_"), {})[column] = _kind(kind)
    return kinds


def _kinds(table: Table) -> dict[str, str]:
    """Kinds of the columns that ``raw_<table>`` should have."""
    kinds = {name: _kind("varchar") for name in table.partitions}
    kinds |= {column.name: _kind(column.duckdb) for column in table.columns}
    if table.name == "activations":
        kinds |= {"rank2": _kind("bigint"), "is_ranked": _kind("boolean")}
    return kinds


def _kind(duckdb_type: str) -> str:
    """What a type is of, whatever its width: wider and narrower numbers are united as such."""
    name = duckdb_type.lower()
    return _KINDS.get(name.removesuffix("[]"), name.removesuffix("[]")) + "[]" * name.endswith("[]")


_KINDS = {
    **dict.fromkeys(("float", "double"), "number"),
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint"), "whole number"),
    **dict.fromkeys(("utinyint", "usmallint", "uinteger", "ubigint"), "whole number"),
    "timestamp with time zone": "timestamptz",
}


def _columns(table: Table, written: int) -> str:
    """The columns of a table in files of a format; null for those that came later."""
    columns = [
        c.name if c.since <= written else f"null::{c.duckdb} as {c.name}" for c in table.columns
    ]
    return ", ".join([*table.partitions, *columns])


def _lines(items: list[str]) -> str:
    return ",\n".join(items)


def empty_of(view: View) -> str:
    """SQL of a view with the columns that its header states, and no rows.

    DuckDB expands all that a view reads when the view is created, so from the bottom up the cost
    multiplies. Put empty ones in place first, then the real ones from the top down: each expands
    only these.
    """
    columns = ", ".join(f"null::{column.type} as {column.name}" for column in view.columns)
    return f"create view {view.name} as select {columns} where false"
