"""Checking that everything adds up: files against manifests, and views whose rows are violations."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import duckdb

from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.storage import Store
from pipeline.tables.audit import Audit, audit_warehouse, find_cure
from pipeline.tables.checked import keep_checked, read_checked
from pipeline.tables.datasets import dataset_folder, read_dataset
from pipeline.tables.snapshots import find_snapshot_problem
from pipeline.upkeep.check_new import BY_SHARD, GUARD, WHOLE, list_new, open_shards, seal_shards
from pipeline.upkeep.check_views import SHOWN, Answers, CheckResult, ask_view, hash_datasets
from pipeline.warehouse.connect import connect
from pipeline.warehouse.headers import View
from pipeline.warehouse.inventory import take_inventory
from pipeline.warehouse.left_out import list_left_out
from pipeline.warehouse.stale import tell_stale
from pipeline.warehouse.views import find_view, load_views


@dataclass(frozen=True)
class Checks:
    """What a check found, and what it passed over since nothing has changed."""

    results: list[CheckResult]
    known_record_count: int
    known_file_count: int
    """Their sizes were looked at."""
    known_view_count: int
    new_shard_count: int | None = None
    """Shards that `check_new.BY_SHARD` were asked of alone; None if of all, or of none."""

    @property
    def passed_over(self) -> str:
        """For a person; empty if all was looked at."""
        counts = {
            "records": self.known_record_count,
            "files": self.known_file_count,
            "views": self.known_view_count,
        }
        told = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        return f"not read again, unchanged since they were checked: {told}" if told else ""

    @property
    def asked_whole(self) -> str:
        """For a person, what was asked of new shards alone and what of all; empty if all was of all."""
        if self.new_shard_count is None:
            return ""
        asked = {result.name: result for result in self.results if not result.is_known}
        alone = [name for name in BY_SHARD if name in asked and not asked[name].violation_count]
        told = [f"{name} ({why})" for name, why in WHOLE.items() if name in asked]
        told += [f"{name} (it has rows)" for name in BY_SHARD if name in {*asked} - {*alone}]
        shards = f"{self.new_shard_count:,} new shard" + "s" * (self.new_shard_count != 1)
        return f"asked of {shards} alone: {', '.join(alone)}; of all: {', '.join(told)}"


def check(
    warehouse: str | Path,
    progress: ProgressCallback | None = None,
    deep: bool = False,
    dataset: str | None = None,
) -> list[CheckResult]:
    """The results of `check_unread`."""
    return check_unread(warehouse, progress, deep, dataset).results


def check_unread(
    warehouse: str | Path,
    progress: ProgressCallback | None = None,
    deep: bool = False,
    dataset: str | None = None,
) -> Checks:
    """Look at every file and every record of them, then run every check view.

    What was checked before and has not changed is not read again.

    Args:
        warehouse: Folder or URL.
        progress: Told of each record and view.
        deep: Read and ask everything, also what an earlier check found good.
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
    new_shard_count = None
    if not run_violations(results):  # else the views cannot be trusted, or not even opened
        found, new_shard_count = _check_views(store, audit, deep, dataset, progress)
        results += found
    return Checks(
        results,
        audit.known_record_count,
        audit.known_file_count,
        sum(result.is_known for result in results),
        new_shard_count,
    )


def _check_views(
    store: Store, audit: Audit, deep: bool, dataset: str | None, progress: ProgressCallback
) -> tuple[list[CheckResult], int | None]:
    views = [view for view in load_views() if view.topic == "checks"]
    found = {record.dataset for record in audit.values if record.kind == "dataset"}
    names = {name: unquote(name) for name in sorted(found)}
    checked = read_checked(store)
    hashes = hash_datasets(audit, found)
    answers = Answers(
        {names.get(name, name): one for name, one in hashes.items()},
        {} if deep else checked["answers"],
    )
    results: list[CheckResult] = []
    shards, new = checked["shards"], dict[str, set[int] | None]()
    progress.start("check", len(views))
    try:
        with ExitStack() as stack:
            connection = alone = None
            if any(answers.list_open(view, [*names.values()]) for view in views):
                inventory = take_inventory(store)  # before the connection, which sees no less
                shards = seal_shards(inventory)
                new = list_new(shards, {} if deep else checked["shards"])
                connection = stack.enter_context(connect(store.url))
                for one in list_left_out(connection):
                    if dataset in (None, one.dataset):
                        raise one.error
                tell_stale(connection, (view.name for view in views))
                if any(ordinals is not None for ordinals in new.values()):
                    alone = stack.enter_context(open_shards(inventory, new))
                    if ask_view(alone, find_view(GUARD), store.url, None).violation_count:
                        alone, new = None, {}
            for view in views:
                ask = partial(_ask, connection, alone, view, store.url)
                results.append(answers.answer(view, [*names.values()], ask))
                kind = "warnings" if results[-1].is_warning else "violations"
                progress.advance(1, f"{view.name}: {results[-1].violation_count} {kind}")
    finally:
        progress.finish()
    if dataset is None:
        records = read_checked(store)["records"] | audit.snapshots
        if any(result.violation_count for result in results if result.name in BY_SHARD):
            shards = checked["shards"]
        keep_checked(store, {"records": records, "answers": answers.known, "shards": shards})
    mine = [ordinals for name, ordinals in new.items() if dataset in (None, name)]
    counts = [len(ordinals) for ordinals in mine if ordinals is not None]
    return results, sum(counts) if counts else None


def _ask(
    connection: duckdb.DuckDBPyConnection | None,
    alone: duckdb.DuckDBPyConnection | None,
    view: View,
    place: str,
    datasets: Sequence[str],
) -> CheckResult:
    """Ask a view of the new shards alone, if that will do; else of all."""
    if alone is not None and view.name in BY_SHARD:
        found = ask_view(alone, view, place, datasets)
        if not found.violation_count:
            return found
    return ask_view(connection, view, place, datasets)


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
            rows[:SHOWN],
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
        rows[:SHOWN],
    )


def run_violations(results: Sequence[CheckResult]) -> int:
    """Violations of checks that are not mere warnings."""
    return sum(result.violation_count for result in results if not result.is_warning)
