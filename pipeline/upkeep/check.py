"""Checking that everything adds up: files against manifests, and views whose rows are violations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipeline.base.faults import faults_told
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.storage import Store
from pipeline.tables.audit import Audit, audit_warehouse, find_cure
from pipeline.tables.datasets import dataset_folder, read_dataset
from pipeline.tables.snapshots import find_snapshot_problem
from pipeline.warehouse.connect import connect
from pipeline.warehouse.headers import View
from pipeline.warehouse.left_out import list_left_out
from pipeline.warehouse.stale import tell_stale
from pipeline.warehouse.views import load_views


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


def check(
    warehouse: str | Path,
    progress: ProgressCallback | None = None,
    deep: bool = False,
    dataset: str | None = None,
) -> list[CheckResult]:
    """Look at every file and every record of them, then run every check view.

    Args:
        warehouse: Folder or URL.
        progress: Told of each record and view.
        deep: Read every file, also those that an earlier check found good.
        dataset: Only the files of this dataset and the marts, and the views' rows about it. A view
            whose rows name no dataset is asked of all.

    Raises:
        WarehouseError: There is no dataset, or none of that name; or what can only be left out of
            queries and is not damaged, such as a renamed folder.
        StorageError: A file cannot be read, for another reason than its being damaged.
    """
    store, progress = Store(warehouse), progress or NoProgress()
    if dataset is not None and not store.exists(dataset_folder(dataset)):
        read_dataset(store, dataset)  # says what there is if it is not there
    audit = audit_warehouse(store, deep, dataset, progress)
    results = [*check_files(audit), check_snapshots(store, audit)]
    if run_violations(results):
        return results  # the views cannot be trusted, or not even opened
    views = [view for view in load_views() if view.topic == "checks"]
    progress.start("check", len(views))
    try:
        with connect(warehouse) as connection:
            for one in list_left_out(connection):
                if dataset in (None, one.dataset):
                    raise one.error
            tell_stale(connection, (view.name for view in views))
            for view in views:
                results.append(run_check(connection, view, store.url, dataset))
                kind = "warnings" if results[-1].is_warning else "violations"
                progress.advance(1, f"{view.name}: {results[-1].violation_count} {kind}")
    finally:
        progress.finish()
    return results


def run_check(
    connection: duckdb.DuckDBPyConnection, view: View, place: str, dataset: str | None
) -> CheckResult:
    """Ask one check view for its rows, of one dataset or of all."""
    is_told = any(column.name == "dataset" for column in view.columns)
    about = "where coalesce(dataset = $dataset, true)" if is_told else ""
    with faults_told(place):
        result = connection.execute(
            f"select *, count(*) over () as violation_count from {view.name} {about} "
            "order by all limit 20",
            {"dataset": dataset} if is_told else None,
        )
        names = tuple(column[0] for column in result.description)[:-1]
        rows = result.fetchall()
    count = int(rows[0][-1]) if rows else 0
    return CheckResult(
        view.name,
        view.purpose,
        view.name.startswith("warn_"),
        count,
        names,
        tuple(tuple(row[:-1]) for row in rows),
    )


def check_files(audit: Audit) -> list[CheckResult]:
    """What an audit found: what is damaged, and how many files nobody can be sure of."""
    rows = tuple((d.path, d.problem, find_cure(d)) for d in audit.damages)
    unrecorded = ((audit.unrecorded_count,),) if audit.unrecorded_count else ()
    return [
        CheckResult(
            "check_files",
            "Files and records that are gone, damaged or not what their records say.",
            False,
            len(rows),
            ("path", "problem", "cure"),
            rows[:20],
        ),
        CheckResult(
            "warn_checksums",
            "Files from before checksums were recorded: sizes and rows agree, bytes nobody knows.",
            True,
            audit.unrecorded_count,
            ("file_count",),
            unrecorded,
        ),
    ]


def check_snapshots(store: Store, audit: Audit) -> CheckResult:
    """Whether a snapshot is whole, and says of every record what its file does."""
    folders: dict[str, dict[str, object]] = {}
    for record, value in audit.values.items():
        if record.kind != "marts":
            name = record.path.removeprefix(f"{record.folder}/")
            folders.setdefault(record.folder, {})[name] = value
    wrong = {folder: find_snapshot_problem(store, folder, said) for folder, said in folders.items()}
    rows = tuple(
        (f"{folder}/{problem.split(' ')[0]}", problem.partition(" ")[2], "neurons repair")
        for folder, problem in wrong.items()
        if problem
    )
    return CheckResult(
        "check_snapshots",
        "Snapshots of records that are damaged, or say what the records do not.",
        False,
        len(rows),
        ("path", "problem", "cure"),
        rows[:20],
    )


def run_violations(results: Sequence[CheckResult]) -> int:
    """Violations of checks that are not mere warnings."""
    return sum(result.violation_count for result in results if not result.is_warning)
