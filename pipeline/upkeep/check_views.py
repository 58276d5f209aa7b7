"""Asking the check views, and not asking again what has been answered of data that has not changed.

A view is asked of each dataset whose records, or marts, are not what they were when it was last asked; the
views join rows of one dataset alone. Rows that name no dataset rest on all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import duckdb

from pipeline.base.faults import faults_told
from pipeline.base.settings import digest
from pipeline.tables.audit import Audit
from pipeline.tables.checked import Answer
from pipeline.tables.manifests import BuildRecord
from pipeline.warehouse.catalog import catalog_digest
from pipeline.warehouse.headers import View

SHOWN = 20
"""Rows of a check that are told."""

NO_DATASET = ""
"""What rows are of that name none."""


@dataclass(frozen=True)
class CheckResult:
    """One check and the rows that violate it."""

    name: str
    purpose: str
    is_warning: bool
    violation_count: int
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    """The first `SHOWN`."""
    is_known: bool = False
    """It was not asked: nothing that it rests on has changed since it was."""


def run_check(
    connection: duckdb.DuckDBPyConnection, view: View, place: str, dataset: str | None
) -> CheckResult:
    """Ask one check view for its rows, of one dataset or of all."""
    asked = None if dataset is None else [dataset, NO_DATASET]
    return ask_view(connection, view, place, asked)


def ask_view(
    connection: duckdb.DuckDBPyConnection | None,
    view: View,
    place: str,
    datasets: Sequence[str] | None,
) -> CheckResult:
    """Ask a check view for its rows of some datasets, or of all; who asks has opened the warehouse."""
    assert connection is not None, "it was opened for what is open"
    about, named = "", None
    if datasets is not None and is_told(view):
        about = f"where coalesce(dataset in $named, {NO_DATASET in datasets})"
        named = {"named": [name for name in datasets if name != NO_DATASET]}
    with faults_told(place):
        result = connection.execute(
            f"select *, count(*) over () as violation_count from {view.name} {about} "
            f"order by all limit {SHOWN}",
            named,
        )
        names = tuple(column[0] for column in result.description)[:-1]
        rows = result.fetchall()
    count = int(rows[0][-1]) if rows else 0
    return _make_result(view, count, names, [row[:-1] for row in rows])


def _make_result(
    view: View, count: int, columns: tuple[str, ...], rows: Iterable[Sequence[Any]]
) -> CheckResult:
    shown = tuple(tuple(row) for row in rows)[:SHOWN]
    is_warning = view.name.startswith("warn_")
    return CheckResult(view.name, view.purpose, is_warning, count, columns, shown)


def is_told(view: View) -> bool:
    """Whether its rows name a dataset."""
    return any(column.name == "dataset" for column in view.columns)


def hash_datasets(audit: Audit, datasets: Iterable[str]) -> dict[str, str]:
    """By dataset, and `NO_DATASET` for all together, a hash of all that check views could read of it."""
    marts = next((value for record, value in audit.values.items() if record.kind == "marts"), None)
    build = cast(BuildRecord | None, marts)
    settings, files = (build["settings"], build.get("files", [])) if build else ({}, [])
    found: dict[str, list[object]] = {name: [] for name in datasets}
    for record, seal in audit.seals.items():
        if record.kind != "marts":
            found[record.dataset].append([record.path, seal])
    for file in files:
        owner = file["path"].split("/")[1].partition("dataset=")[2]
        for name in [owner] if owner in found else found:
            found[name].append([file["path"], file["bytes"], file.get("checksum")])
    common = [catalog_digest(), settings]
    each = {name: digest([*common, said]) for name, said in found.items()}
    return {**each, NO_DATASET: digest([*common, sorted(each.items())])}


class Answers:
    """What the check views answer, of what was asked before and has not changed since.

    Args:
        hashes: Of `hash_datasets`.
        known: What was answered before, by view and dataset.
    """

    def __init__(
        self, hashes: Mapping[str, str], known: Mapping[str, Mapping[str, Answer]]
    ) -> None:
        self._hashes = hashes
        self.known = {
            view: {name: one for name, one in answers.items() if hashes.get(name) == one["of"]}
            for view, answers in known.items()
        }

    def list_open(self, view: View, datasets: Sequence[str]) -> list[str]:
        """The datasets of which a view is to be asked; `NO_DATASET` too, where rows name none."""
        wanted = [*datasets, NO_DATASET] if is_told(view) else [NO_DATASET]
        return [name for name in wanted if name not in self.known.get(view.name, {})]

    def answer(
        self, view: View, datasets: Sequence[str], ask: Callable[[list[str]], CheckResult]
    ) -> CheckResult:
        """A view's rows of some datasets.

        Args:
            view: Which.
            datasets: Of which.
            ask: Asks it of some.
        """
        todo = self.list_open(view, datasets)
        answers = self.known.setdefault(view.name, {})
        columns = tuple(column.name for column in view.columns)
        found = ask(todo) if todo else None
        if found is not None and (not found.violation_count or len(todo) == 1):
            answers |= {name: self._note(name, found) for name in todo}
        elif found is not None:
            answers |= {name: self._note(name, ask([name])) for name in todo}
        wanted = [*datasets, NO_DATASET] if is_told(view) else [NO_DATASET]
        count = sum(answers[name]["count"] for name in wanted)
        if found is not None and len(todo) == len(wanted):
            return found
        rows = [row for name in wanted for row in answers[name]["rows"]]
        result = _make_result(view, count, columns, rows)
        return replace(result, is_known=not todo)

    def _note(self, name: str, result: CheckResult) -> Answer:
        rows = [[_plain(cell) for cell in row] for row in result.rows]
        return {"of": self._hashes[name], "count": result.violation_count, "rows": rows}


def _plain(cell: Any) -> str | int | float | bool | None:
    """As JSON has it; anything else as it is shown."""
    is_plain = cell is None or isinstance(cell, str | int | float)
    return cell if is_plain and not (isinstance(cell, int) and abs(cell) >= 1 << 63) else str(cell)
