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

from pipeline.display import print_table
from pipeline.errors import ConfigError, WarehouseError
from pipeline.storage import Store, storage_errors
from pipeline.warehouse import connect, explain_damage


def run_query(warehouse: str, query: str, form: str, out: Path | None) -> None:
    """Run a query and print or write its result.

    Args:
        warehouse: Folder or URL.
        query: SQL over the views.
        form: ``table``, ``csv``, ``json`` (an array of objects) or ``parquet``.
        out: Where to; standard output if None.

    Raises:
        ConfigError: Parquet without a file.
        WarehouseError: The query is wrong, or a file is damaged.
    """
    if form == "parquet" and out is None:
        raise ConfigError("Parquet cannot be printed.", "Say where it goes: --out FILE.parquet")
    if not query.strip(" \n\t;"):
        raise ConfigError("The query is empty.", "Try: neurons sql 'from neuron_labels limit 5'")
    with connect(warehouse) as connection:
        try:
            if form == "parquet":
                _write_parquet(connection, query, out)
                return
            result = connection.execute(query)
            names = [column[0] for column in result.description or []]
            rows = _rows(result)
            if out is None:
                _write_text(names, rows, form, sys.stdout)
            else:
                with storage_errors(str(out)), out.open("w", encoding="utf-8", newline="") as file:
                    _write_text(names, rows, form, file)
        except duckdb.Error as error:
            raise explain_query(error, warehouse) from error


def explain_query(error: duckdb.Error, warehouse: str) -> WarehouseError:
    """A wrong query and a damaged file are told apart."""
    text = str(error).strip()
    if Store(warehouse).uri("") in text:  # it names one of the warehouse's own files
        return explain_damage(error, warehouse)
    return WarehouseError(
        f"The query does not work: {text}",
        "Views: neurons sql 'show tables'. Columns of one: neurons sql 'describe neuron_labels'.",
    )


def _rows(result: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := result.fetchmany(10_000):
        yield from rows


def _write_parquet(connection: duckdb.DuckDBPyConnection, query: str, out: Path | None) -> None:
    import pyarrow.parquet as pq

    with storage_errors(str(out)):
        pq.write_table(connection.sql(query).to_arrow_table(), out, compression="zstd")


def _write_text(names: list[str], rows: Iterator[tuple[Any, ...]], form: str, file: Any) -> None:
    if form == "csv":
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)
    elif form == "json":
        file.write("[")
        for number, row in enumerate(rows):
            values = (None if _is_nan(value) else value for value in row)  # JSON knows no NaN
            record = json.dumps(
                dict(zip(names, values, strict=True)), default=str, ensure_ascii=False
            )
            file.write((",\n" if number else "\n") + record)
        file.write("\n]\n")
    else:
        print_table(names, rows, file)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
