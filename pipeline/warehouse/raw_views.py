"""The views ``raw_...``: exactly the files that manifests name, in every form that they ever had."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from pipeline.base.errors import NeuronsError, WarehouseError
from pipeline.base.faults import faults_told
from pipeline.tables.columns import Table
from pipeline.tables.manifests import FileEntry
from pipeline.tables.schema import TABLES
from pipeline.warehouse.contents import Inventory
from pipeline.warehouse.files import WarehouseFiles, named_uri, warehouse_uri
from pipeline.warehouse.headers import View

_HIVE_TYPES = "hive_partitioning = true, hive_types = {%s}"


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def name_files(files: WarehouseFiles, scans: Scans) -> Iterator[tuple[str, str]]:
    """Views ``raw_...`` and selects of exactly the files that manifests name, or of no rows at all.

    No select holds a list of files: each names one, which ``files`` knows from here on.
    """

    def name(scan: Scan) -> str:
        return quote(files.name(scan.name, scan.entries))

    for table in _tables():
        yield f"raw_{table.name}", _select(scans[table.name], table, name)


def named_select(inventory: Inventory, table: Table) -> str:
    """A select of the files of some runs and datasets, whole ones, of those that `name_files` has named."""
    return raw_select(inventory, table, lambda scan: quote(named_uri(scan.name)))


def leave_out_damaged(
    connection: duckdb.DuckDBPyConnection, inventory: Inventory, scans: Scans
) -> Scans:
    """A run or a dataset whose files have other columns than ours, or are damaged, is left out.

    Looked at is the first file of each table that a run has in each format. Another one that is damaged is
    an error of the queries that read it.

    Returns:
        The scans of what is left.

    Raises:
        NeuronsError: Nothing can be read then; or the machine is in the way.
    """
    flat = [(table, scan) for table in _tables() for scan in scans[table.name]]
    if not flat or _are_good(connection, flat):
        return scans
    for table, scan in flat:
        if problem := _find_problem(connection, table, scan, inventory.store.url):
            inventory.leave_out(scan.owner, problem)
    inventory.tell_left_out()
    return list_scans(inventory)


def _tables() -> list[Table]:
    return [table for table in TABLES.values() if table.name != "compact"]


def raw_view(inventory: Inventory, table: Table) -> str:
    """SQL that makes ``raw_<table>`` over paths relative to the warehouse, for the plain DuckDB shell."""

    def place(scan: Scan) -> str:
        return "[\n" + ",\n".join(quote(file["path"]) for file in scan.entries) + "]"

    return f"create or replace view raw_{table.name} as\n{raw_select(inventory, table, place)}"


def raw_select(inventory: Inventory, table: Table, place: Callable[[Scan], str]) -> str:
    """A select of the files of a table that manifests name, or of no rows.

    Args:
        inventory: Which files there are.
        table: Which table.
        place: The SQL of files, as ``read_parquet`` takes it.
    """
    return _select(_list_scans(inventory, table), table, place)


def _select(scans: Sequence[Scan], table: Table, place: Callable[[Scan], str]) -> str:
    hive = _HIVE_TYPES % ", ".join(f"{name}: varchar" for name in table.partitions)
    selects = [f"select {scan.columns} from read_parquet({place(scan)}, {hive})" for scan in scans]
    return "\nunion all by name\n".join(selects) or no_rows(table)


def no_rows(table: Table) -> str:
    """A select of the columns of ``raw_<table>`` without rows."""
    columns = [f"null::varchar as {name}" for name in table.partitions]
    columns += [f"null::{c.duckdb} as {c.name}" for c in table.columns]
    if table.name == "activations":
        columns += ["null::bigint as rank2", "null::boolean as is_ranked"]
        columns += ["null::boolean as is_counted"]
    return f"select {', '.join(columns)} where false"


@dataclass(frozen=True)
class Scan:
    """The files of a table that one run, or a dataset, has in one format: all have the same columns.

    So DuckDB reads the schema of the first file alone; to unite schemas it would open every file.
    """

    owner: str
    """The run's or the dataset's folder."""
    written: int
    """Their format."""
    entries: list[FileEntry]
    columns: str
    """What is selected of them: the table's columns."""
    is_ranked: bool
    """Whether they have ranks."""

    @property
    def name(self) -> str:
        """The one name of these files: a run has activations of its own and, sorted, in levels."""
        return f"{self.entries[0]['table']}/{self.written}/{self.owner}"


Scans = Mapping[str, list[Scan]]
"""By table."""


def list_scans(inventory: Inventory) -> Scans:
    """All of an inventory."""
    return {table.name: _list_scans(inventory, table) for table in _tables()}


def _list_scans(inventory: Inventory, table: Table) -> list[Scan]:
    if table.name != "activations":
        return list(_scans(inventory.files_of(table.name), table))
    whole = {f"dataset={r.dataset}/run_id={r.run_id}" for r in inventory.runs if r.is_compacted}
    ranked: list[FileEntry] = []
    counted: list[FileEntry] = []
    for file in inventory.files_of("compact"):
        mine = "/".join(file["path"].split("/")[:2])
        (ranked if mine in whole else counted).append(file)
    unranked = ", null::bigint as rank2, false as is_ranked"
    return [
        *_scans(inventory.files_of("activations"), table, f"{unranked}, false as is_counted"),
        *_scans(counted, table, f"{unranked}, true as is_counted"),
        *_scans(ranked, table, ", rank2, true as is_ranked, true as is_counted", True),
    ]


def _scans(
    files: list[FileEntry], table: Table, extra: str = "", is_ranked: bool = False
) -> Iterator[Scan]:
    """One scan for each run and format. A file without rows costs as much as another, and is passed over."""
    groups: dict[tuple[str, int], list[FileEntry]] = {}
    group: list[FileEntry] = []
    written, inside = -1, "/"  # of those that are looked at now: mostly the same as before
    for file in files:
        if not file["row_count"]:
            continue
        if file["format"] != written or not file["path"].startswith(inside):
            owner = "/".join(file["path"].split("/")[: len(table.partitions[:2])])
            written, inside = file["format"], f"{owner}/"
            group = groups.setdefault((owner, written), [])
        group.append(file)
    for (owner, written), entries in groups.items():
        columns = ", ".join([*table.partitions, columns_in(table, written)]) + extra
        yield Scan(owner, written, entries, columns, is_ranked)


def _are_good(connection: duckdb.DuckDBPyConnection, scans: list[tuple[Table, Scan]]) -> bool:
    """Whether the first file of each scan can be read and has its columns: all by one query."""
    places = [warehouse_uri(scan.entries[0]["path"]) for _, scan in scans]
    try:
        rows = connection.execute(
            "select file_name, name, duckdb_type from parquet_schema($files) "
            "where duckdb_type is not null",
            {"files": places},
        ).fetchall()
    except duckdb.Error:
        return False
    found: dict[str, dict[str, str]] = {place: {} for place in places}
    for place, name, kind in rows:
        found.setdefault(place, {}).setdefault(
            name, _kind(kind)
        )  # what is inside a list comes after the list
    return all(
        found[place].items() >= _wanted(table, scan).items()
        for place, (table, scan) in zip(places, scans, strict=True)
    )


def _wanted(table: Table, scan: Scan) -> dict[str, str]:
    """Kinds of the columns that the files of a scan should have."""
    wanted = {c.name: _kind(c.duckdb) for c in table.columns if c.since <= scan.written}
    return wanted | {"rank2": _kind("bigint")} if scan.is_ranked else wanted


def _find_problem(
    connection: duckdb.DuckDBPyConnection, table: Table, scan: Scan, place: str
) -> NeuronsError | None:
    """What is wrong with the files of a scan, if anything."""
    try:
        with faults_told(place):
            file = quote(warehouse_uri(scan.entries[0]["path"]))
            rows = connection.execute(f"describe from read_parquet({file})").fetchall()
    except NeuronsError as error:
        return error
    found = {name: _kind(kind) for name, kind, *_ in rows}
    for name, kind in _wanted(table, scan).items():
        if found.get(name) != kind:
            was = f"of another kind ({found[name]})" if name in found else "missing"
            return WarehouseError(
                f"The column {name} of the table {table.name} is {was} in {scan.owner}.",
                "Another version or program wrote it. Make it again with: "
                f"neurons repair --dataset {scan.owner.split('/')[0].removeprefix('dataset=')}",
            )
    return None


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


def columns_in(table: Table, written: int) -> str:
    """What to select of a table's files of a format: null for the columns that came later; all of format 0."""
    columns = (
        c.name if c.since <= written else f"null::{c.duckdb} as {c.name}" for c in table.columns
    )
    return ", ".join(columns)


def empty_of(view: View) -> str:
    """A select of the columns that the header of a view states, without rows."""
    columns = ", ".join(f"null::{column.type} as {column.name}" for column in view.columns)
    return f"select {columns} where false"
