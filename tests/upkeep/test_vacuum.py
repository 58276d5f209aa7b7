"""Vacuum: what no record names goes, what any record names stays, and nothing of other people is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from damaging import copy_of

from pipeline.base.locks import hold_lock
from pipeline.base.storage import Store
from pipeline.upkeep.vacuum import find_leftovers, vacuum


@pytest.fixture
def warehouse(full_warehouse: Path, tmp_path: Path) -> Path:
    return copy_of(full_warehouse, tmp_path)


def files_of(place: Path) -> set[str]:
    return {f.relative_to(place).as_posix() for f in place.rglob("*") if f.is_file()}


def put(place: Path, rel: str) -> str:
    file = place / rel
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * 10)
    return rel


def test_nothing_of_a_whole_warehouse_is_left_over(warehouse: Path) -> None:
    """With every kind of file that we write."""
    assert find_leftovers(Store(warehouse)) == []


def test_what_nothing_names_goes(warehouse: Path, told) -> None:
    (run,) = warehouse.glob("dataset=textures/run_id=*")
    folder = run.relative_to(warehouse).as_posix()
    layer = min((run / "activations").iterdir())
    before = files_of(warehouse)
    ours = {
        put(warehouse, f"{folder}/activations/{layer.name}/00000-0123abcd.parquet"): "superseded",
        put(warehouse, f"{folder}/compact/0123456789ab/layer=x/00000.parquet"): "superseded",
        put(warehouse, "dataset=textures/texts/00999.parquet"): "superseded",
        put(warehouse, "dataset=textures/manifests/00000.json.tmp-0123abcd"): "half-written",
        put(warehouse, "marts/build.json.tmp-0123abcd"): "half-written",
        put(warehouse, "marts/0123456789ab/neuron_stats.parquet"): "old marts",
        put(warehouse, "marts/dataset=textures/example_concepts-0123456789ab.parquet"): "old marts",
        put(warehouse, "deleted-0123abcd/run.json"): "deleted",
    }
    others = {
        put(warehouse, "dataset=textures/notes.txt"),
        put(warehouse, f"{folder}/analysis/mine.parquet"),
        put(warehouse, "dataset=textures/shards/backup.tar"),
        put(warehouse, "mine.parquet"),
        put(warehouse, "marts/mine/neuron_stats.parquet"),
    }
    assert {each.path: each.why for each in find_leftovers(Store(warehouse))} == ours
    out = told("vacuum", "--warehouse", warehouse, "--dry-run")
    assert f"{len(ours)} files, {10 * len(ours)} B, would be removed" in out
    assert all(rel in out for rel in ours)
    assert files_of(warehouse) == before | set(ours) | others
    out = told("vacuum", "--warehouse", warehouse)
    assert f"{len(ours)} files, {10 * len(ours)} B, removed" in out and " left: " not in out
    locks = {rel for rel in files_of(warehouse) - before - others if rel.endswith(".lock")}
    assert files_of(warehouse) - locks == before | others
    assert not (warehouse / f"{folder}/compact/0123456789ab").exists()


def test_nothing_goes_where_somebody_works(warehouse: Path, caplog) -> None:
    (run,) = warehouse.glob("dataset=textures/run_id=*")
    folder = run.relative_to(warehouse).as_posix()
    mine = put(warehouse, f"{folder}/embeddings/00000.parquet.tmp-0123abcd")
    old = put(warehouse, "marts/0123456789ab/neuron_stats.parquet")
    store = Store(warehouse)
    with hold_lock(store, f"{folder}/locks/00000.lock"):
        done = vacuum(store)
    assert f"Another process works on {warehouse / folder}" in caplog.text
    assert [each.path for each in done.removed] == [old]
    assert [each.path for each in done.kept] == [mine]
    assert (warehouse / mine).exists() and not (warehouse / old).exists()


def test_a_damaged_record_might_name_anything(warehouse: Path) -> None:
    (run,) = warehouse.glob("dataset=textures/run_id=*")
    put(warehouse, "dataset=textures/texts/00999.parquet")
    manifest = run / "manifests" / "00001.json"
    manifest.write_bytes(manifest.read_bytes()[:-20])
    assert find_leftovers(Store(warehouse)) == []
