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

from bench import data
from bench.data import synthesise_activations, synthetic_output, write_run
from pipeline.base.storage import Store
from pipeline.clip.hooks import Layer, LayerSpec
from pipeline.extract.results import LayerOutput
from pipeline.tables.audit import audit_warehouse
from pipeline.tables.manifest_files import (
    read_manifest,
    write_manifest,
)
from pipeline.tables.manifests import make_entry
from pipeline.tables.merged import PARTIALS, read_merged
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


def output(store: str = "all") -> LayerOutput:
    """A layer whose values can be on either side of zero."""
    layer = Layer(LayerSpec("synthetic"), "visual", "Linear", "flat", 4, False)
    return LayerOutput(layer, store, torch.float16)


def synthesise(kept: LayerOutput, seed: int = 0) -> torch.Tensor:
    values = synthesise_activations(SHARDS * 50, 4, 0.4, seed)
    values[:, 3] = torch.where(values[:, 3] > 0, 1.0, 0.0).half()  # ties
    return values.clamp(min=0) if kept.layer.is_rectified else values


def make_run(place: Path, kept: LayerOutput | None = None) -> Path:
    """Eleven shards whose statistics will be merged by threes."""
    kept = kept or output()
    write_run(str(place), synthesise(kept), 50, kept, merge_width=WIDTH)
    return place


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Only read."""
    return make_run(tmp_path_factory.mktemp("parts"))


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
    assert {one.why for one in find_leftovers(store)} == {"merged"}
    assert len(vacuum(store).removed) == 9 * len(PARTIALS)  # of level 1 they are kept in reserve
    assert find_leftovers(store) == []
    left = sum(file.stat().st_size for file in paths(place, *PARTIALS, "merged_samples"))
    assert left < size / 2
    assert answers(place) == expected
    assert audit_warehouse(store, deep=True).damages == []


def test_new_shards_stand_beside_a_merge_and_join_the_next(tmp_path, expected):
    """As the run grows, shard by shard, it answers as if nothing was ever merged."""
    whole, grown = make_run(tmp_path / "whole"), make_run(tmp_path / "grown")
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
        # of two merges in reserve, and of five shards
        assert connection.execute("select count(*) from raw_shard_stats").fetchall() == [(7 * 4,)]
    assert merge_run(store, FOLDER).merge_count == 2
    assert answers(place) == remade


def vacuumed(place: Path) -> Store:
    store = Store(place)
    merge_run(store, FOLDER)
    vacuum(store)
    assert len(paths(place, "shard_samples")) == SHARDS - 9 and find_leftovers(store) == []
    return store


def count_images(place: Path) -> set[tuple[str, int]]:
    """What each view counts of the run."""
    with connect(place) as connection:
        return set(
            connection.execute("""
                select 'embeddings', count(*) from image_embeddings
                union all select 'statistics', example_count from neuron_stats
                union all select 'shards', 50 * count(*) from stg_run_shards where status = 'done'
            """).fetchall()
        )


def test_without_the_parts_one_shard_takes_its_own_merge_along(place, at_once):
    """The merges below the void one answer; until statistics are made again, what went with it is named."""
    store = vacuumed(place)
    remake_without_stats(store, 4)
    assert count_images(place) == {(name, 450) for name in ("embeddings", "statistics", "shards")}
    damages = audit_warehouse(store).damages
    assert [damage.path[-10:] for damage in damages] == ["00003.json", "00005.json"]
    assert all("has no statistics: shard 4" in damage.problem for damage in damages)


@pytest.mark.parametrize("kept", [output(), synthetic_output(4)], ids=["all", "positive"])
def test_stored_activations_give_the_statistics_again(kept, tmp_path, at_once, without_peaks):
    """As if nothing had ever been merged, to the last bit, and without the model."""
    place, live = make_run(tmp_path / "place", kept), make_run(tmp_path / "live", kept)
    store = vacuumed(place)
    for other in (store, Store(live)):
        remake_without_stats(other, 4, kept)
    manifests = [read_manifest(store, FOLDER, ordinal) for ordinal in (3, 5)]
    assert merge_run(store, FOLDER).merge_count == 2  # the shards' three, and the larger one
    assert manifests == [read_manifest(store, FOLDER, ordinal) for ordinal in (3, 5)]
    assert spans(store) == [(2, 0)] and answers(place) == answers(live)
    assert audit_warehouse(store, deep=True).damages == []
    vacuum(store)
    assert find_leftovers(store) == [] and answers(place) == answers(live)
    remake_without_stats(store, 8, kept)  # and again, from the reserve that is new
    assert len(audit_warehouse(store).damages) == 2
    assert merge_run(store, FOLDER).shard_count == 9


def test_where_nothing_is_stored_the_shards_of_one_merge_are_extracted_again(tmp_path, at_once):
    """Those and no others, though nine were merged."""
    store = vacuumed(place := make_run(tmp_path / "place", output("none")))
    remake_without_stats(store, 4, output("none"))
    assert merge_run(store, FOLDER).merge_count == 0
    assert drop_void_merges(store, FOLDER) == [3, 5]
    assert spans(store) == [(1, 0), (1, 6)]
    assert count_images(place) == {(name, 450) for name in ("embeddings", "statistics", "shards")}
    for ordinal in (3, 5):
        remake_without_stats(store, ordinal, output("none"))
    assert merge_run(store, FOLDER).merge_count == 2
    assert spans(store) == [(2, 0)] and audit_warehouse(store, deep=True).damages == []


def test_a_shard_that_is_not_done_any_more_takes_no_other_with_it(tmp_path, at_once, without_peaks):
    """But for those of its merge, until their statistics are made again; it joins them later."""
    place = make_run(tmp_path / "place")
    expected = answers(place, ["top_examples"])
    store = vacuumed(place)
    manifest = read_manifest(store, FOLDER, 4)
    mark_undone(store, FOLDER, manifest, "Its disk was full")
    assert count_images(place) == {(name, 400) for name in ("embeddings", "statistics", "shards")}
    assert merge_run(store, FOLDER).merge_count == 2
    assert count_images(place) == {(name, 500) for name in ("embeddings", "statistics", "shards")}
    remake_without_stats(store, 4, seed=0)
    assert merge_run(store, FOLDER).shard_count == 9
    assert audit_warehouse(store, deep=True).damages == []
    ids = [[row[:8] for row in said["top_examples"]] for said in (expected, answers(place))]
    assert ids[0] == ids[1]


@pytest.fixture
def without_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of layers that do not pool by max."""

    def unknown(ids: torch.Tensor, units: int) -> torch.Tensor:
        return torch.full((len(ids), units), -1, dtype=torch.int16)

    monkeypatch.setattr(data, "synthesise_peaks", unknown)


def remake_without_stats(
    store: Store, ordinal: int, kept: LayerOutput | None = None, seed: int = 5
) -> None:
    """A shard made anew after its parts went: its files are there again, with other numbers."""
    from pipeline.extract.results import Results
    from pipeline.extract.write import ShardWriter
    from pipeline.tables.datasets import Shard

    shard = Shard(ordinal, f"shard{ordinal:05d}", f"shard{ordinal:05d}.tar", 0)
    kept = kept or output()
    block = synthesise(kept, seed).split(50)[ordinal]
    ids = torch.arange(50) + shard.example_id(0)
    none = torch.zeros(0, dtype=torch.int64)
    writer = ShardWriter(store, FOLDER, shard, (kept,), none, 100, 1 << 30)
    vectors, is_finite = torch.zeros(50, 8).half(), torch.ones(50, dtype=torch.bool)
    peaks = {kept.layer.name: data.synthesise_peaks(ids, 4)}
    writer.add(Results(ids, {kept.layer.name: block}, vectors, is_finite, peaks))
    manifest = read_manifest(store, FOLDER, ordinal)
    told = {"status": "done", "error": None, "written_count": 50, "rejected_count": 0}
    files = writer.finish()
    write_manifest(store, FOLDER, {**manifest, **told, "files": files, "is_undone": False})


def test_a_damaged_merge_is_read_from_its_parts_again(place, expected):
    store = Store(place)
    merge_run(store, FOLDER)
    flip(paths(place, "merged_samples")[-1])
    (damage,) = audit_warehouse(store, deep=True).damages
    assert damage.record.kind == "merged"
    assert repair(place).left == []
    assert audit_warehouse(store, deep=True).damages == []
    assert answers(place) == expected


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
