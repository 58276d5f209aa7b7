"""Merged statistics: every view answers the same as before, to the last bit, whatever happens between."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from damaging import copy_of, flip

from bench.data import synthesise_activations, synthesise_peaks, synthetic_output, write_run
from pipeline.base.errors import WarehouseError
from pipeline.base.storage import Store
from pipeline.tables.audit import audit_warehouse
from pipeline.tables.manifest_files import (
    read_manifest,
    write_manifest,
)
from pipeline.tables.manifests import make_entry
from pipeline.tables.merged import PARTIALS, merged_path, read_merged
from pipeline.tables.presence import drop_void_merges, mark_undone
from pipeline.upkeep import settle as settle_module
from pipeline.upkeep import vacuum as vacuum_module
from pipeline.upkeep.merge import merge_run
from pipeline.upkeep.repair import repair
from pipeline.upkeep.settle import settle
from pipeline.upkeep.vacuum import find_leftovers, vacuum
from pipeline.warehouse.connect import connect, take_whole_inventory

pytestmark = pytest.mark.slow

FOLDER = "dataset=synthetic/run_id=bench"
SHARDS, WIDTH = 11, 3
VIEWS = (
    "stg_neuron_moments",
    "neuron_stats",
    "neuron_histograms",
    "top_examples",
    "stg_samples",
    "neuron_samples",
    "runs",
    "check_samples",
    "check_activation_counts",
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven shards whose statistics will be merged by threes; only read."""
    place = tmp_path_factory.mktemp("parts")
    values = synthesise_activations(SHARDS * 50, 4, 0.4)
    values[:, 3] = torch.where(values[:, 3] > 0, 1.0, 0.0).half()  # ties
    write_run(str(place), values, 50, synthetic_output(4))
    begin(Store(place))
    return place


def begin(store: Store, folder: str = FOLDER, width: int = WIDTH) -> None:
    """Say in what steps sums are added, before anything is merged."""
    record = {"width": width, "merges": [], "files": [], "retired": []}
    store.write_record(merged_path(folder), record, with_copy=True)


@pytest.fixture
def place(parts: Path, tmp_path: Path) -> Path:
    return copy_of(parts, tmp_path)


def answers(place: str | Path, views: Sequence[str] = VIEWS) -> dict[str, list[tuple[Any, ...]]]:
    with connect(place, use_marts=False) as connection:
        return {
            view: connection.execute(f"select * from {view} order by all").fetchall()
            for view in views
        }


@pytest.fixture(scope="module")
def expected(parts: Path) -> dict[str, list[tuple[Any, ...]]]:
    return answers(parts)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was merged may go at once."""
    monkeypatch.setattr(vacuum_module, "KEEP", timedelta(seconds=-1))


def spans(store: Store) -> list[tuple[int, int]]:
    record = read_merged(store, FOLDER)
    assert record is not None
    return [(merge["level"], merge["first"]) for merge in record["merges"]]


def paths(place: Path, *tables: str) -> list[Path]:
    return [
        file for table in tables for file in sorted((place / FOLDER / table).rglob("*.parquet"))
    ]


def test_every_view_answers_the_same_to_the_last_bit(place, expected):
    store = Store(place)
    done = merge_run(store, FOLDER)
    assert (done.merge_count, done.shard_count, spans(store)) == (4, 9, [(2, 0)])
    assert answers(place) == expected
    assert merge_run(store, FOLDER).merge_count == 0
    with connect(place) as connection:  # three merged and two beside it, wherever they lie
        counts = connection.execute(
            "select count(*), max(n) from (select unit, count(*) as n from raw_shard_stats group by unit)"
        ).fetchall()
        rows = connection.execute(
            "select max(n) from (select count(*) as n from raw_shard_top group by unit, polarity)"
        ).fetchall()
    assert counts == [(4, 3)] and rows[0][0] <= 100 + 2 * 50


def test_a_reader_from_before_goes_on_and_vacuum_frees_the_disk(place, expected, monkeypatch):
    store = Store(place)
    with connect(place, use_marts=False) as before:
        merge_run(store, FOLDER)
        assert vacuum(store).removed == ()
        found = before.execute("select * from top_examples order by all").fetchall()
        assert found == expected["top_examples"]
    size = sum(file.stat().st_size for file in paths(place, *PARTIALS, "merged_samples"))
    monkeypatch.setattr(vacuum_module, "KEEP", timedelta(seconds=-1))
    assert {one.why for one in find_leftovers(store)} == {"merged", "superseded"}
    removed = vacuum(store).removed
    assert len(removed) == 9 * len(PARTIALS) + 3 * len(PARTIALS)  # of shards, and of level 1
    assert find_leftovers(store) == []
    left = sum(file.stat().st_size for file in paths(place, *PARTIALS, "merged_samples"))
    assert left < size / 3
    assert answers(place) == expected
    assert audit_warehouse(store, deep=True).damages == []


def test_new_shards_stand_beside_a_merge_and_join_the_next(tmp_path, expected):
    """As the run grows, shard by shard, it answers as if nothing was ever merged."""
    values = synthesise_activations(SHARDS * 50, 4, 0.4)
    whole, grown = tmp_path / "whole", tmp_path / "grown"
    for place in (whole, grown):
        write_run(str(place), values, 50, synthetic_output(4))
        begin(Store(place))
    store = Store(grown)
    hidden = tmp_path / "hidden"
    shutil.move(grown / FOLDER / "manifests", hidden)
    (grown / FOLDER / "manifests").mkdir()
    for ordinal in range(SHARDS):
        shutil.copy(hidden / f"{ordinal:05d}.json", grown / FOLDER / "manifests")
        merge_run(store, FOLDER)
    assert spans(store) == [(2, 0)]
    assert answers(grown) == answers(whole)


def test_a_shard_that_failed_is_passed_over_and_joins_later(place, expected):
    store = Store(place)
    manifest = read_manifest(store, FOLDER, 4)
    mark_undone(store, FOLDER, manifest, "Its disk was full")
    merge_run(store, FOLDER)
    assert spans(store) == [(2, 0)]
    write_manifest(store, FOLDER, manifest)
    beside = answers(place)
    assert merge_run(store, FOLDER).merge_count == 1
    merged = answers(place)
    for view in set(VIEWS) - {"stg_neuron_moments", "neuron_stats"}:  # last digits of their sums
        assert beside[view] == merged[view], view
        if "sd" not in view and view not in ("top_examples", "neuron_samples"):
            assert merged[view] == expected[view], view
    ids = [[row[:8] for row in said["top_examples"]] for said in (expected, beside, merged)]
    assert ids[0] == ids[1] == ids[2]


def remake(store: Store, ordinal: int) -> None:
    """As if another device had read a shard: its sums have other last digits."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    manifest = read_manifest(store, FOLDER, ordinal)
    files = []
    for entry in manifest["files"]:
        if entry["table"] == "shard_stats":
            table = pq.read_table(store.path(entry["path"]), partitioning=None)
            column = table.schema.get_field_index("activation_sum")
            table = table.set_column(
                column, "activation_sum", pc.multiply(table["activation_sum"], 1 + 1e-12)
            )
            written = store.write_parquet(entry["path"], table)
            entry = make_entry("shard_stats", entry["path"], len(table), written, entry["layer"])
        files.append(entry)
    write_manifest(store, FOLDER, {**manifest, "files": files})


def test_a_shard_that_is_another_now_makes_its_merge_void_and_the_parts_answer(place):
    store = Store(place)
    merge_run(store, FOLDER)
    remake(store, 4)
    remade = answers(place)
    assert remade["runs"][0] and len(remade["top_examples"]) > 0
    assert audit_warehouse(store).damages == []
    with connect(place) as connection:
        assert connection.execute("select count(*) from raw_shard_stats").fetchall() == [(44,)]
    assert merge_run(store, FOLDER).merge_count == 4
    assert answers(place) == remade


def test_without_the_parts_the_other_shards_are_not_done_any_more(place, expected, at_once):
    """Nothing answers for half of what it did: they are named, and made again."""
    store = Store(place)
    merge_run(store, FOLDER)
    vacuum(store)
    remake_without_stats(store, 4)
    with connect(place) as connection:
        shown = connection.execute(
            "select shard_ordinal, status from stg_run_shards order by 1"
        ).fetchall()
        examples = connection.execute("select count(*) from image_embeddings").fetchall()
        counted = connection.execute("select distinct example_count from neuron_stats").fetchall()
    assert [n for n, status in shown if status == "done"] == [4, 9, 10]
    assert examples == [(150,)] and counted == [(150,)]
    damages = audit_warehouse(store).damages
    assert len(damages) == 8 and all("has no statistics: shard 4" in d.problem for d in damages)
    assert merge_run(store, FOLDER).merge_count == 0
    assert drop_void_merges(store, FOLDER) == [0, 1, 2, 3, 5, 6, 7, 8]
    assert spans(store) == []
    assert audit_warehouse(store).damages and answers(place)["check_samples"] == []


def remake_without_stats(store: Store, ordinal: int) -> None:
    """A shard made anew after its parts went: its files are there again, with other numbers."""
    from pipeline.extract.results import Results
    from pipeline.extract.write import ShardWriter
    from pipeline.tables.datasets import Shard

    shard = Shard(ordinal, f"shard{ordinal:05d}", f"shard{ordinal:05d}.tar", 0)
    block = synthesise_activations(50, 4, 0.4, seed=5)
    ids = torch.arange(50) + shard.example_id(0)
    output = synthetic_output(4)
    none = torch.zeros(0, dtype=torch.int64)
    writer = ShardWriter(store, FOLDER, shard, (output,), none, 100, 1 << 30)
    vectors, is_finite = torch.zeros(50, 8).half(), torch.ones(50, dtype=torch.bool)
    peaks = {output.layer.name: synthesise_peaks(ids, 4)}
    writer.add(Results(ids, {output.layer.name: block}, vectors, is_finite, peaks))
    manifest = read_manifest(store, FOLDER, ordinal)
    write_manifest(store, FOLDER, {**manifest, "files": writer.finish()})


def test_a_damaged_merge_is_read_from_its_parts_again(place, expected):
    store = Store(place)
    merge_run(store, FOLDER)
    flip(paths(place, "merged_samples")[-1])
    (damage,) = audit_warehouse(store, deep=True).damages
    assert damage.record.kind == "merged"
    assert repair(place).left == []
    assert audit_warehouse(store, deep=True).damages == []
    assert answers(place) == expected


def test_another_width_is_refused_once_something_is_merged(place):
    with pytest.raises(WarehouseError, match="merged 3 shards at a time, not 5"):
        merge_run(Store(place), FOLDER, width=5)


def test_in_a_bucket_it_is_the_same(place, expected):
    store = Store("memory://merge-bucket")
    store.fs.put(str(place), store.root, recursive=True)
    try:
        merge_run(store, FOLDER)
        assert answers(store.url) == expected
        assert vacuum(store).removed == ()  # nobody knows who reads
    finally:
        store.fs.rm(store.root, recursive=True)


def test_a_build_merges_and_sorts_where_it_pays(place, expected, monkeypatch):
    """And changes no answer by it; a second one finds nothing to do."""
    store = Store(place)
    assert settle(take_whole_inventory(store)) == [
        "merged the statistics of 9 shards of run bench of synthetic"
    ]
    assert not store.exists(f"{FOLDER}/compact.json")
    monkeypatch.setattr(settle_module, "UNSORTED_SHARDS", 9)
    (told,) = settle(take_whole_inventory(store))
    assert told.startswith("sorted ") and told.endswith(" of run bench of synthetic")
    assert settle(take_whole_inventory(store)) == []
    found = answers(place)
    assert {view: found[view] for view in VIEWS if view != "runs"} == {
        view: expected[view] for view in VIEWS if view != "runs"
    }


def test_two_that_merge_at_once_do_no_harm(place, expected):
    """Each commits, or finds committed, the same merges."""
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: merge_run(Store(place), FOLDER), range(3)))
    assert sum(one.merge_count for one in done) >= 4
    assert spans(Store(place)) == [(2, 0)]
    assert audit_warehouse(Store(place), deep=True).damages == []
    assert answers(place) == expected


def test_without_locks_neither(place, expected):
    """As on object storage: both do the work, the record that is written last stands."""
    store = Store("memory://merge-twice")
    store.fs.put(str(place), store.root, recursive=True)
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: merge_run(Store(store.url), FOLDER), range(2)))
        assert answers(store.url) == expected
        assert audit_warehouse(store, deep=True).damages == []
    finally:
        store.fs.rm(store.root, recursive=True)
