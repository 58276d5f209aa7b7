"""Another name for a dataset or a run: all that was there is there, under the new name alone, killed or not."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cut_world import make_cut_config, make_cut_world
from damaging import copy_of
from making import ingest_paths, make_image

from pipeline.base.errors import ConfigError, WarehouseError
from pipeline.base.locks import hold_lock
from pipeline.base.storage import Store
from pipeline.extract.run import extract
from pipeline.tables.audit import audit_warehouse
from pipeline.tables.datasets import read_dataset
from pipeline.upkeep import rename as module
from pipeline.upkeep.rename import rename
from pipeline.upkeep.vacuum import find_leftovers, vacuum
from pipeline.warehouse.connect import connect
from pipeline.warehouse.inventory import take_inventory

pytestmark = pytest.mark.slow

VIEWS = (
    *("runs", "layers", "shards", "examples", "image_texts", "image_embeddings", "activations"),
    *("neuron_histograms", "stg_neuron_moments", "raw_shard_top", "raw_shard_samples"),
    *("human_labels", "raw_concept_embeddings", "rejects", "stg_run_shards"),
)


@pytest.fixture
def warehouse(full_warehouse: Path, tmp_path: Path) -> Path:
    return copy_of(full_warehouse, tmp_path)


def only_run(place: Path) -> str:
    (run,) = place.glob("dataset=*/run_id=*")
    return run.name.removeprefix("run_id=")


def _replaced(value: str, names: dict[str, str]) -> str:
    name, slash, rest = value.removeprefix("dataset=").partition("/")
    if slash and value != rest and name in names and value.startswith("dataset="):
        return f"dataset={names[name]}/{rest}"
    return names.get(value, value)


def answers(place: Path | str, names: dict[str, str]) -> dict[str, list[tuple[object, ...]]]:
    """Every row of the views, with names replaced."""
    found = {}
    with connect(place, use_marts=False) as connection:
        for view in VIEWS:
            rows = connection.execute(f"from {view} order by all").fetchall()
            found[view] = [
                tuple(_replaced(value, names) if isinstance(value, str) else value for value in row)
                for row in rows
            ]
    return {view: sorted(rows, key=repr) for view, rows in found.items()}


def test_all_that_was_there_is_there_under_the_new_name(warehouse: Path, told) -> None:
    run = only_run(warehouse)
    before = answers(warehouse, {"textures": "cloth", run: "pilot"})
    assert any(before["human_labels"]) and any(before["raw_concept_embeddings"])
    inodes = {file.stat().st_ino for file in warehouse.rglob("dataset=*/**/*.parquet")}
    out = told("rename", "dataset", "textures", "cloth", "--warehouse", warehouse)
    assert "dataset textures is called cloth" in out and "neurons build" in out
    out = told("rename", "run", run, "pilot", "--warehouse", warehouse)
    assert f"run {run} is called pilot" in out
    assert answers(warehouse, {}) == before
    assert only_run(warehouse) == "pilot"
    assert [place.name for place in warehouse.glob("dataset=*")] == ["dataset=cloth"]
    assert not [*warehouse.glob("deleted-*"), *warehouse.glob("renaming-*")]
    now = {file.stat().st_ino for file in warehouse.rglob("dataset=*/**/*.parquet")}
    assert now == inodes, "not a byte of data was copied"
    texts = [file.read_text() for file in warehouse.rglob("dataset=*/**/*.json*")]
    assert texts and not [
        text for text in texts if "dataset=textures" in text or f"run_id={run}" in text
    ]
    assert audit_warehouse(Store(warehouse), deep=True).damages == []
    assert find_leftovers(Store(warehouse)) == []
    with connect(warehouse) as connection:
        assert connection.execute("select is_compacted from runs").fetchall() == [(True,)]


def test_extraction_goes_on_with_what_was_renamed(tmp_path: Path) -> None:
    """Its id was made from the dataset's name and its configuration; it is found all the same."""
    place = make_cut_world(tmp_path, {}, per_shard=4)
    config = make_cut_config(place, run="", store="none")
    first = extract(config, ordinals=[0]).run_id
    store = Store(place)
    rename(store, "dataset", "d", "e")
    of_e = make_cut_config(place, run="", store="none", dataset="e")
    done = extract(of_e)
    assert (done.run_id, done.skipped_shard_count) == (first, 1)
    rename(store, "run", first, "pilot")
    done = extract(of_e)
    assert (done.run_id, done.skipped_shard_count) == ("pilot", 2)
    rename(store, "dataset", "e", "d")
    rename(store, "run", "pilot", first)
    done = extract(config)
    assert (done.run_id, done.skipped_shard_count) == (first, 2)
    assert store.read_json(f"dataset=d/run_id={first}/run.json")["known_as"] == []


def test_shards_that_the_warehouse_holds_move_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(3):
        (folder / f"{n}.jpg").write_bytes(make_image(n))
    ingest_paths(tmp_path, "folder", folder)
    store = Store(tmp_path / "warehouse")
    rename(store, "dataset", "d", "mine")
    (shard,) = read_dataset(store, "mine").shards
    assert shard.url == "dataset=mine/shards/00000.tar"
    with tarfile.open(store.path(shard.url)) as tar:
        assert len(tar.getnames()) == 6
    assert audit_warehouse(store, deep=True).damages == []


def test_a_warehouse_of_the_first_format_stays_of_it(tmp_path: Path) -> None:
    """Files lack what came later: a record that said another format would be misread."""
    with tarfile.open(Path(__file__).parents[1] / "data/warehouse-format-1.tar.gz") as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # since Python 3.11.4
        tar.extractall(tmp_path)
    (place,) = (path.parent for path in tmp_path.rglob("dataset=*"))
    store = Store(place)
    (name,) = (path.name.removeprefix("dataset=") for path in place.glob("dataset=*"))
    before = answers(place, {name: "other"})
    rename(store, "dataset", name, "other")
    assert answers(place, {}) == before
    records = [
        json.loads(file.read_text()) for file in place.rglob("dataset=*/**/manifests/*.json")
    ]
    assert records and not any("format" in record for record in records)


def test_what_cannot_be_renamed_is_refused_and_nothing_changes(warehouse: Path) -> None:
    store, run = Store(warehouse), only_run(warehouse)
    shutil.copytree(warehouse / "dataset=textures", warehouse / "dataset=taken")
    before = sorted(str(path) for path in warehouse.rglob("*") if path.suffix != ".lock")
    for new, error, match in (
        ("taken", WarehouseError, "dataset=taken is there already"),
        ("a b", ConfigError, "cannot name a dataset"),
        ("textures", WarehouseError, "called 'textures' already"),
    ):
        with pytest.raises(error, match=match):
            rename(store, "dataset", "textures", new)
    with pytest.raises(WarehouseError, match="no dataset 'nothing'"):
        rename(store, "dataset", "nothing", "more")
    with pytest.raises(WarehouseError, match="no run 'nothing'"):
        rename(store, "run", "nothing", "more")
    with (
        hold_lock(store, f"dataset=textures/run_id={run}/locks/00001.lock"),
        pytest.raises(WarehouseError, match=r"Another process works on .*holds .*00001.lock"),
    ):
        rename(store, "dataset", "textures", "cloth")
    after = sorted(str(path) for path in warehouse.rglob("*") if path.suffix != ".lock")
    assert after == before
    shutil.rmtree(warehouse / "dataset=taken")
    manifest = next(warehouse.glob("dataset=textures/run_id=*/manifests/00001.json"))
    manifest.write_bytes(manifest.read_bytes().replace(b'"status"', b'"stAtus"'))
    with pytest.raises(WarehouseError, match=r"00001\.json .*checksum"):
        rename(store, "dataset", "textures", "cloth")
    assert (warehouse / "dataset=textures").exists() and not (warehouse / "dataset=cloth").exists()


class Killed(BaseException):
    """As SIGKILL: nothing that would clean up runs after it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, at: int) -> Callable[[], int]:
    """End the renaming before its n-th change of the folders; gives how many were made."""
    made = 0

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            nonlocal made
            if made == at:
                raise Killed
            made += 1
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(os, "link", counted(os.link))
    monkeypatch.setattr(os, "replace", counted(os.replace))
    monkeypatch.setattr(Path, "rename", counted(Path.rename))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
    monkeypatch.setattr(module.shutil, "rmtree", counted(shutil.rmtree))
    return lambda: made


def test_killed_anywhere_the_same_command_finishes_it(tmp_path: Path) -> None:
    """Before each rename, link and removal: what stands there answers whole, under one name or both."""
    place = make_cut_world(tmp_path / "start", {"r": "none"}, per_shard=4)
    seen = set[tuple[str, ...]]()
    at, total = 0, 1
    while at < total:
        here = tmp_path / "here"
        shutil.copytree(place, here)
        store = Store(here)
        with pytest.MonkeyPatch.context() as patch:
            made = kill_at(patch, at)
            try:
                rename(store, "dataset", "d", "e")
            except Killed:
                total = made() + 2
        found = take_inventory(store)
        assert not found.left_out and len(found.run_shards) == 2 * len(found.datasets)
        assert audit_warehouse(store).damages == []
        seen.add(tuple(found.datasets))
        if (here / "dataset=d").exists() or (here / "dataset=e/renamed.json").exists():
            rename(store, "dataset", "d", "e")
        assert [path.name for path in here.glob("dataset=*")] == ["dataset=e"]
        assert not (here / "dataset=e/renamed.json").exists()
        assert audit_warehouse(store).damages == []
        vacuum(store)
        assert not [*here.glob("renaming-*"), *here.glob("deleted-*")]
        shutil.rmtree(here)
        at += 1 if at > total - 6 else 29
    assert {("d",), ("e",), ("d", "e")} <= seen


def test_what_was_added_after_a_kill_is_not_taken_away(tmp_path: Path) -> None:
    place = make_cut_world(tmp_path, {}, per_shard=4)
    extract(make_cut_config(place, run="r"), ordinals=[0])
    store = Store(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "DELETED", "no/such/folder/")  # the second rename fails
        with pytest.raises(OSError):
            rename(store, "dataset", "d", "e")
    assert sorted(path.name for path in place.glob("dataset=*")) == ["dataset=d", "dataset=e"]
    extract(make_cut_config(place, run="r"))
    with pytest.raises(WarehouseError, match="has got more since it was renamed to 'e'"):
        rename(store, "dataset", "d", "e")
    assert (place / "dataset=d/run_id=r/manifests/00001.json").exists()


def test_in_a_bucket_everything_is_copied_first(warehouse: Path, monkeypatch) -> None:
    run = only_run(warehouse)
    before = answers(warehouse, {"textures": "cloth", run: "pilot"})
    store = Store("memory://rename-bucket")
    store.fs.put(str(warehouse), store.root, recursive=True)
    try:
        copied = 0
        copy = store.fs.cp_file

        def fail(*places: str) -> None:
            nonlocal copied
            copied += 1
            if copied == 5:
                raise Killed
            copy(*places)

        monkeypatch.setattr(store.fs, "cp_file", fail)
        with pytest.raises(Killed):
            rename(store, "dataset", "textures", "cloth")
        assert store.exists("dataset=textures/dataset.json")
        assert not store.exists("dataset=cloth/dataset.json")
        rename(store, "dataset", "textures", "cloth")
        rename(store, "run", run, "pilot")
        there = [rel for rel, _ in store.walk("") if rel.startswith("dataset=")]
        assert there and not [rel for rel in there if "textures" in rel or f"={run}" in rel]
        back = warehouse.parent / "back"
        store.fs.get(store.root, str(back), recursive=True)
        assert answers(back, {}) == before
    finally:
        store.fs.rm(store.root, recursive=True)
