"""Taking a run or a dataset out of the warehouse: at once or not at all, never while it is worked on."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.errors import WarehouseError
from pipeline.base.locks import take_lock
from pipeline.base.storage import COPY, Store, sync_folder
from pipeline.tables.datasets import (
    dataset_folder,
    holds_dataset,
    list_datasets,
    run_folder,
)
from pipeline.tables.record_list import list_records
from pipeline.tables.runs import has_run

DELETED = "deleted-"
"""What the name of a folder begins with that was taken out and is being removed."""


@dataclass(frozen=True)
class Target:
    """What is to be deleted."""

    what: str
    """``run`` or ``dataset``."""
    name: str
    folder: str
    run_ids: tuple[str, ...]
    """The runs that go."""
    file_count: int
    bytes: int


def find_target(store: Store, what: str, name: str, dataset: str | None = None) -> Target:
    """What ``neurons delete`` would delete.

    Args:
        store: The warehouse.
        what: ``run`` or ``dataset``.
        name: Of the dataset; the id of the run.
        dataset: Of the run, if several datasets have one of that id.

    Raises:
        WarehouseError: There is none, or there are several.
    """
    if what == "dataset":
        folder = dataset_folder(name)
        if not holds_dataset(store, folder):
            known = ", ".join(list_datasets(store)) or "none"
            raise WarehouseError(
                f"There is no dataset {name!r} in {store.url}.", f"Datasets there: {known}."
            )
    else:
        folder = _find_run(store, name, dataset)
    files = dict(store.walk(folder))
    runs = (place for place in store.list(folder) if place.startswith("run_id="))
    run_ids = (name,) if what == "run" else tuple(run.removeprefix("run_id=") for run in runs)
    return Target(what, name, folder, run_ids, len(files), sum(files.values()))


def _find_run(store: Store, run_id: str, dataset: str | None) -> str:
    names = [dataset] if dataset else list_datasets(store)
    folders = [run_folder(name, run_id) for name in names]
    found = [f for f in folders if has_run(store, f) or store.list(f"{f}/manifests", ".json")]
    if len(found) == 1:
        return found[0]
    if found:
        of = ", ".join(folder.split("/")[0].removeprefix("dataset=") for folder in found)
        raise WarehouseError(
            f"Several datasets have a run {run_id!r}: {of}.", "Say which one: --dataset NAME"
        )
    raise WarehouseError(
        f"There is no run {run_id!r} in {store.url}.", "neurons info lists the runs."
    )


def delete(store: Store, target: Target) -> None:
    """Delete a run or a dataset with all its runs.

    Locally its folder is moved out of sight by one rename, then removed; what a killed process leaves of
    it is for ``neurons vacuum``. On object storage its records go first: a killed process leaves
    files that nothing names, which the same command or ``neurons vacuum`` removes.

    Raises:
        WarehouseError: A process works on it.
    """
    with all_locked(store, target.folder):
        if not store.is_local:
            for record in list_records(store, target.folder.split("/")[0].partition("=")[2]):
                is_inside = f"{record.folder}/".startswith(f"{target.folder}/")
                if is_inside and record.kind in ("run", "dataset"):
                    store.delete(record.path + COPY)
                    store.delete(record.path)
            store.fs.rm(store.path(target.folder), recursive=True)
            return
        taken = Path(store.path(f"{DELETED}{uuid.uuid4().hex[:8]}"))
        place = Path(store.path(target.folder))
        place.rename(taken)
        sync_folder(place.parent)
    shutil.rmtree(taken)


@contextmanager
def all_locked(store: Store, folder: str) -> Iterator[None]:
    """Hold every lock that a step on a dataset or a run could want.

    Raises:
        WarehouseError: Somebody else holds one.
    """
    first = "run.lock" if "/run_id=" in folder else "ingest.lock"
    own = {"marts/build.lock"} | ({f"{folder}/{first}"} if folder != "marts" else set())
    places = (folder,) if folder == "marts" else (folder, f"marts/{folder}")
    locks = own | {r for place in places for r, _ in store.walk(place) if r.endswith(".lock")}
    with ExitStack() as held:
        for rel in sorted(locks):
            if (lock := take_lock(store, rel, wait=False)) is None:
                raise WarehouseError(
                    f"Another process works on {store.uri(folder)}: it holds {rel}.",
                    "Wait until it is done, or end it, and run the same command again.",
                )
            held.callback(lock.release)
        yield
