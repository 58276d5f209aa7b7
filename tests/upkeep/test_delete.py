"""Deleting a run or a dataset: gone at once, all others untouched, never while somebody works on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from damaging import copy_of
from making import ingest_paths

from pipeline.base.errors import WarehouseError
from pipeline.base.locks import hold_lock
from pipeline.base.storage import Store
from pipeline.tables.datasets import read_dataset
from pipeline.upkeep import delete as module
from pipeline.upkeep.check import check, run_violations
from pipeline.upkeep.delete import delete, find_target
from pipeline.upkeep.vacuum import find_leftovers, vacuum
from pipeline.warehouse.connect import connect

pytestmark = pytest.mark.slow


@pytest.fixture
def warehouse(full_warehouse: Path, tmp_path: Path) -> Path:
    return copy_of(full_warehouse, tmp_path)


def only_run(place: Path) -> str:
    (run,) = place.glob("dataset=textures/run_id=*")
    return run.name.removeprefix("run_id=")


def rows(place: Path, query: str) -> list[tuple[object, ...]]:
    with connect(place) as connection:
        return connection.execute(query).fetchall()


def test_a_run_goes_and_its_dataset_stays(warehouse: Path, told) -> None:
    run = only_run(warehouse)
    images = rows(warehouse, "select count(*) from examples")
    size = sum(f.stat().st_size for f in (warehouse / "dataset=textures").rglob("*") if f.is_file())
    error = told("delete", "run", run, "--warehouse", warehouse, code=2)
    assert f"Nobody can be asked whether to delete run {run}: " in error and "--yes" in error
    assert rows(warehouse, "select run_id from runs") == [(run,)]
    out = told("delete", "run", run, "--warehouse", warehouse, "--yes")
    assert f"deleted run {run}: " in out and "neurons build" in out
    assert rows(warehouse, "select count(*) from runs") == [(0,)]
    assert rows(warehouse, "select count(*) from examples") == images
    left = sum(f.stat().st_size for f in (warehouse / "dataset=textures").rglob("*") if f.is_file())
    assert left < size / 2
    assert not run_violations(check(warehouse))
    assert f"There is no run '{run}'" in told(
        "delete", "run", run, "--warehouse", warehouse, "--yes", code=2
    )


def test_a_dataset_goes_with_its_runs(warehouse: Path, told) -> None:
    tars = [Path(shard.url) for shard in read_dataset(Store(warehouse), "textures").shards]
    ingest_paths(warehouse.parent, "webdataset", *tars)
    out = told("delete", "dataset", "textures", "--warehouse", warehouse, "--yes")
    assert "deleted dataset textures and its 1 runs" in out
    assert rows(warehouse, "select distinct dataset from shards") == [("d",)]
    told("delete", "dataset", "d", "--warehouse", warehouse, "--yes")
    assert all(tar.exists() for tar in tars)  # they lie elsewhere
    assert not [*warehouse.glob("dataset=*"), *warehouse.glob("deleted-*")]
    assert "There is no dataset 'd'" in told(
        "delete", "dataset", "d", "--warehouse", warehouse, "--yes", code=2
    )


@pytest.mark.parametrize("lock", ["run.lock", "locks/00001.lock", "similarity.json.lock"])
def test_never_while_a_process_works_on_it(warehouse: Path, lock: str) -> None:
    run, store = only_run(warehouse), Store(warehouse)
    target = find_target(store, "run", run)
    with (
        hold_lock(store, f"{target.folder}/{lock}"),
        pytest.raises(WarehouseError, match=f"Another process works on .*holds .*{lock}"),
    ):
        delete(store, target)
    assert rows(warehouse, "select run_id from runs") == [(run,)]
    delete(store, target)
    assert rows(warehouse, "select run_id from runs") == []


def test_a_kill_in_the_middle_leaves_all_or_nothing(warehouse: Path, monkeypatch) -> None:
    """The one rename is all that counts; what is left of a killed process is vacuum's."""

    class Killed(BaseException):
        pass

    def kill(path: Path) -> None:
        raise Killed

    store = Store(warehouse)
    monkeypatch.setattr(module.shutil, "rmtree", kill)
    with pytest.raises(Killed):
        delete(store, find_target(store, "run", only_run(warehouse)))
    assert rows(warehouse, "select count(*) from runs") == [(0,)]
    assert not run_violations(check(warehouse))
    leftovers = find_leftovers(store)
    assert leftovers and {each.why for each in leftovers} == {"deleted"}
    vacuum(store)
    assert not list(warehouse.glob("deleted-*"))


def test_in_a_bucket_a_run_whose_name_goes_on_is_another_run(warehouse: Path) -> None:
    """Without renames records go one by one: only those of this very run."""
    run = only_run(warehouse)
    store = Store("memory://delete-bucket")
    store.fs.put(str(warehouse), store.root, recursive=True)
    folder = f"dataset=textures/run_id={run}"
    for rel, _ in list(store.walk(folder)):
        store.fs.cp_file(store.path(rel), store.path(rel.replace(folder, f"{folder}-more")))
    target = find_target(store, "run", run)
    kept = {rel for rel, _ in store.walk("") if not rel.startswith(f"{folder}/")}
    assert any(rel == f"{folder}-more/run.json" for rel in kept)
    try:
        delete(store, target)
        assert {rel for rel, _ in store.walk("")} == kept
    finally:
        store.fs.rm(store.root, recursive=True)


def test_a_run_that_lost_its_record_can_be_deleted(warehouse: Path, told) -> None:
    run = only_run(warehouse)
    for name in ("run.json", "run.json.copy"):
        (warehouse / f"dataset=textures/run_id={run}" / name).unlink()
    told("delete", "run", run, "--warehouse", warehouse, "--yes")
    assert not list(warehouse.glob("dataset=textures/run_id=*"))
