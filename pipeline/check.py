"""Checking that everything adds up: files against manifests, and views whose rows are violations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.inventory import Inventory, take_inventory
from pipeline.progress import NoProgress, ProgressCallback
from pipeline.records import FileEntry
from pipeline.storage import Store
from pipeline.views import View, load_views
from pipeline.warehouse import connect, explain_damage


@dataclass(frozen=True)
class CheckResult:
    """One check and the rows that violate it."""

    name: str
    purpose: str
    is_warning: bool
    violation_count: int
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    """The first twenty."""


def check(warehouse: str | Path, progress: ProgressCallback | None = None) -> list[CheckResult]:
    """Run every check view, and compare every file with what its manifest says.

    Raises:
        WarehouseError: There is no dataset.
    """
    store, progress = Store(warehouse), progress or NoProgress()
    inventory = take_inventory(store)
    views = [view for view in load_views() if view.layer == "check"]
    progress.start("check", len(views) + 1)
    try:
        files = check_files(inventory)
        progress.advance(1, f"check_files: {files.violation_count} violations")
        results = [files]
        if files.violation_count:
            return results  # the views cannot be trusted, or not even opened
        with connect(warehouse) as connection:
            for view in views:
                results.append(_run_check(connection, view, store.url))
                progress.advance(1, f"{view.name}: {results[-1].violation_count} violations")
    finally:
        progress.finish()
    return results


def _run_check(connection: duckdb.DuckDBPyConnection, view: View, place: str) -> CheckResult:
    try:
        result = connection.execute(
            f"select *, count(*) over () as violation_count from {view.name} limit 20"
        )
        names = tuple(column[0] for column in result.description)[:-1]
        rows = result.fetchall()
    except duckdb.Error as error:
        raise explain_damage(error, place) from error
    count = int(rows[0][-1]) if rows else 0
    return CheckResult(
        view.name,
        view.purpose,
        view.name.startswith("warn_"),
        count,
        names,
        tuple(tuple(row[:-1]) for row in rows),
    )


def check_files(inventory: Inventory) -> CheckResult:
    """Files that a manifest names and that are gone, damaged, or hold another number of rows."""
    bad: list[tuple[str, str]] = []
    for file in inventory.files:
        problem = _file_problem(inventory.store, file)
        if problem:
            bad.append((file["path"], problem))
    return CheckResult(
        "check_files",
        "Files that a manifest names and that are gone, damaged or of another size.",
        False,
        len(bad),
        ("path", "problem"),
        tuple(bad[:20]),
    )


def _file_problem(store: Store, file: FileEntry) -> str:
    path = file["path"]
    if not store.exists(path):
        return "is gone"
    size = store.size(path)
    if file["bytes"] >= 0 and size != file["bytes"]:
        return f"has {size} bytes, the manifest says {file['bytes']}"
    try:
        with store.open(path) as stream:
            rows = pq.read_metadata(stream).num_rows
    except (pa.ArrowInvalid, OSError) as error:
        return f"is not readable Parquet: {error}"
    if file["row_count"] >= 0 and rows != file["row_count"]:
        return f"has {rows} rows, the manifest says {file['row_count']}"
    return ""


def run_violations(results: Sequence[CheckResult]) -> int:
    """Violations of checks that are not mere warnings."""
    return sum(result.violation_count for result in results if not result.is_warning)
