"""The views ``raw_...``: exactly the files that manifests name, in every form that they ever had."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.tables.manifests import FileEntry
from pipeline.tables.schema import Table
from pipeline.warehouse.inventory import Inventory
from pipeline.warehouse.views import View

_HIVE_TYPES = "hive_partitioning = true, hive_types = {%s}"


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def raw_view(inventory: Inventory, table: Table, uri: Callable[[str], str]) -> str:
    """SQL of ``raw_<table>``: the files that manifests name, or no rows at all.

    Args:
        inventory: Which files there are.
        table: Which table.
        uri: How DuckDB will find a file, from its path relative to the warehouse.
    """
    parts = _scans(inventory.files_of(table.name), table, uri, "")
    if table.name == "activations":
        unranked = ", null::bigint as rank2, false as is_ranked"
        parts = _scans(inventory.files_of(table.name), table, uri, unranked)
        parts += _scans(inventory.files_of("compact"), table, uri, ", rank2, true as is_ranked")
        if not parts:
            return empty_view(table, "null::bigint as rank2", "null::boolean as is_ranked")
    if not parts:
        return empty_view(table)
    body = "\nunion all by name\n".join(parts)
    return f"create view raw_{table.name} as\n{body}"


def empty_view(table: Table, *more: str) -> str:
    """SQL of ``raw_<table>`` without rows."""
    columns = [f"null::varchar as {name}" for name in table.partitions]
    columns += [f"null::{c.duckdb} as {c.name}" for c in table.columns]
    return f"create view raw_{table.name} as\nselect {', '.join([*columns, *more])} where false"


def _scans(
    files: list[FileEntry], table: Table, uri: Callable[[str], str], extra: str
) -> list[str]:
    """One scan for each run and format: within these all files of a table have the same columns.

    So DuckDB reads the schema of the first file alone; to unite schemas it would open every file.
    """
    hive = _HIVE_TYPES % ", ".join(f"{name}: varchar" for name in table.partitions)
    groups: dict[tuple[str, int], list[str]] = {}
    for file in files:
        run = "/".join(file["path"].split("/")[: len(table.partitions[:2])])
        groups.setdefault((run, file["format"]), []).append(quote(uri(file["path"])))
    return [
        f"select {_columns(table, written)}{extra} from read_parquet([\n{_lines(paths)}], {hive})"
        for (_, written), paths in groups.items()
    ]


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
