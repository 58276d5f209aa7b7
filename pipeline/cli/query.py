"""Answers for the command line: any query in any form."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from pipeline.base.csv_cells import guard_row
from pipeline.base.display import (
    print_fitting,
    print_table,
    print_vertical,
    show_json,
    shown_on_terminal,
)
from pipeline.base.errors import ConfigError, NeuronsError, WarehouseError
from pipeline.base.faults import explain_fault, first_line
from pipeline.base.outputs import new_file
from pipeline.warehouse.connect import connect
from pipeline.warehouse.files import ForbiddenError
from pipeline.warehouse.not_kept import tell_not_kept
from pipeline.warehouse.stale import tell_stale, views_of_query

_ROW_GROUP = 122_880
"""Rows of a row group of Parquet, as DuckDB writes them."""


def run_query(
    warehouse: str, query: str, form: str, out: Path | None, stale: str | None = None
) -> None:
    """Run a query and print or write its result.

    Args:
        warehouse: Folder or URL.
        query: SQL over the views.
        form: ``table``, ``vertical``, ``csv``, ``json`` (an array of objects), ``parquet``; or ``fitting``:
            a table, but vertical on a terminal that is too narrow for it.
        out: Where to; standard output if None.
        stale: ``answer`` or ``stop`` where marts are older than the data; see `stale.tell_stale`.

    Raises:
        ConfigError: Parquet without a file.
        WarehouseError: The query is wrong; a file is damaged; marts are stale and ``stop`` is asked.
    """
    if form == "parquet" and out is None:
        raise ConfigError("Parquet cannot be printed.", "Say where it goes: --out FILE.parquet")
    if not query.strip(" \n\t;"):
        raise ConfigError("The query is empty.", "Try: neurons sql 'from neuron_labels limit 5'")
    with connect(warehouse) as connection:
        asked = views_of_query(connection, query)
        tell_stale(connection, asked, stale)
        tell_not_kept(connection, asked)
        answer(connection, warehouse, query, form, out)


def answer(
    connection: duckdb.DuckDBPyConnection, warehouse: str, query: str, form: str, out: Path | None
) -> None:
    """Answer a query on an open connection; see `run_query`."""
    try:
        if form == "parquet" and out is not None:
            with new_file(out) as file:
                _write_parquet(connection, query, file)
            return
        result = connection.execute(query)
        names = [column[0] for column in result.description or []]
        rows = _rows(result)
        if out is None:
            _write_text(names, rows, form, sys.stdout)
        else:
            with new_file(out) as path, path.open("w", encoding="utf-8", newline="") as file:
                _write_text(names, rows, form, file)
    except duckdb.Error as error:
        raise explain_query(error, warehouse) from error


def explain_query(error: duckdb.Error, warehouse: str) -> NeuronsError:
    """A wrong query, one that reaches too far or needs too much, and a damaged file are told apart."""
    said = first_line(error)
    if isinstance(error, duckdb.PermissionException) or said.startswith((_FORBIDDEN, _LOCKED)):
        return WarehouseError(
            f"The query reaches beyond the warehouse: {said.removeprefix(_FORBIDDEN)}",
            "neurons sql and pipeline.connect read the warehouse and change nothing. Write results "
            "with --out FILE; for all that DuckDB can do: pipeline.connect(..., unrestricted=True).",
        )
    return explain_fault(error, warehouse) or WarehouseError(
        f"The query does not work: {str(error).strip()}",
        "Views: neurons sql 'show tables'. Columns of one: neurons sql 'describe neuron_labels'.",
    )


_FORBIDDEN = f"{ForbiddenError.__module__}.{ForbiddenError.__qualname__}: "
"""How DuckDB passes it on."""
_LOCKED = "Invalid Input Error: Cannot change configuration option"
"""How DuckDB's message begins where its settings are locked."""


def _rows(result: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := result.fetchmany(10_000):
        yield from rows


def _write_parquet(connection: duckdb.DuckDBPyConnection, query: str, out: Path) -> None:
    """Write row group by row group: the result is never in memory as a whole."""
    import pyarrow.parquet as pq

    reader = connection.sql(query).to_arrow_reader(_ROW_GROUP)
    with pq.ParquetWriter(out, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)


class _UnixLines:
    """Ends a row with a line feed alone. The writer itself, told so, would not quote a carriage return."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, row: str) -> None:
        """One row, as the writer ends it."""
        self._file.write(row.removesuffix("\r\n") + "\n")


def _write_text(names: list[str], rows: Iterator[tuple[Any, ...]], form: str, file: Any) -> None:
    if form == "csv":
        writer = csv.writer(_UnixLines(shown_on_terminal(file)), lineterminator="\r\n")
        writer.writerow(guard_row(names))
        writer.writerows(map(guard_row, rows))
    elif form == "json":
        file.write("[")
        for number, row in enumerate(rows):
            values = (None if _is_nan(value) else value for value in row)  # JSON knows no NaN
            record = json.dumps(
                dict(zip(names, values, strict=True)), default=str, ensure_ascii=False
            )
            file.write((",\n" if number else "\n") + show_json(record))
        file.write("\n]\n")
    else:
        _PRINTERS[form](names, rows, file)


_PRINTERS = {"table": print_table, "vertical": print_vertical, "fitting": print_fitting}


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
