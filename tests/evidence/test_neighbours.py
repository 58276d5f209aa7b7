"""Correlations against NumPy's, whatever the blocks; what is left out is told."""

from __future__ import annotations

import numpy as np
import pytest
from making import make_record, write_tar
from textures import make_texture, make_warehouse

from pipeline.base.progress import NoProgress
from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep, LabelSettings
from pipeline.evidence.matrix import (
    example_ids,
    iter_blocks,
    list_layers,
    read_units,
    sample_ids,
    shared_ids,
)
from pipeline.evidence.neighbours import (
    NEIGHBOURS,
    compute_neuron_neighbours,
    correlate,
    standardise,
)
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest
from pipeline.upkeep.build import build
from pipeline.upkeep.check import check
from pipeline.warehouse.connect import connect


def dense(connection, layer, ids):
    blocks = iter_blocks(connection, layer, ids)
    return np.concatenate([block.activations for block in blocks])


def numpys(one, other):
    """Pearson's correlations ``[U, V]`` by NumPy; NaN where a neuron is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        both = np.corrcoef(np.concatenate([one, other]).astype(np.float64))
    return both[: len(one), len(one) :]


class Told(NoProgress):
    def __init__(self):
        self.notes = []

    def advance(self, count, note=""):
        self.notes.append(note)


@pytest.mark.slow
def test_blocks_do_not_change_what_is_read(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        for layer in list_layers(connection):
            ids = example_ids(connection, layer.dataset, layer.run_id)
            whole = dense(connection, layer, ids)
            small = np.concatenate(
                [b.activations for b in iter_blocks(connection, layer, ids, max_bytes=20_000)]
            )
            assert np.array_equal(whole, small)
            assert np.array_equal(read_units(connection, layer, ids, [7, 2]), whole[[7, 2]])
            assert read_units(connection, layer, ids, []).shape == (0, len(ids))
            for unit, example_id, value in connection.execute(
                "select unit, example_id, activation from activations where layer = $layer "
                "using sample 20",
                {"layer": layer.layer},
            ).fetchall():
                if example_id in ids:  # repeated images are not
                    assert whole[unit, np.searchsorted(ids, example_id)] == value


@pytest.mark.parametrize("max_bytes", [512 << 20, 100_000])
@pytest.mark.slow
def test_nearest_neurons_are_numpys(tiny_warehouse, max_bytes):
    rows = {}
    with connect(tiny_warehouse) as connection:
        for table in compute_neuron_neighbours(connection, NoProgress(), max_bytes=max_bytes):
            for row in table.to_pylist():
                key = (row["layer"], row["other_layer"], row["unit"])
                rows.setdefault(key, []).append(row)
        layers = list_layers(connection)
        ids = example_ids(connection, layers[0].dataset, layers[0].run_id)
        matrices = {layer.layer: dense(connection, layer, ids) for layer in layers}
    checked = 0
    for one, mine in matrices.items():
        for other, theirs in matrices.items():
            expected = numpys(mine, theirs)
            if one == other:
                np.fill_diagonal(expected, np.nan)
            for unit, correlations in enumerate(expected):
                found = rows.get((one, other, unit), [])
                count = min(NEIGHBOURS, int(np.isfinite(correlations).sum()))
                assert [row["neighbour_rank"] for row in found] == list(range(1, count + 1))
                values = [row["correlation"] for row in found]
                assert values == sorted(values, reverse=True)
                best = np.sort(correlations[np.isfinite(correlations)])[::-1][:count]
                assert values == pytest.approx(best.tolist(), abs=1e-5)
                units = [row["other_unit"] for row in found]
                assert len(set(units)) == len(units)
                assert values == pytest.approx(correlations[units], abs=1e-5)
                checked += count
    assert checked > 10_000


def test_constant_neurons_have_no_neighbours_and_are_nobodys():
    values = np.random.default_rng(0).normal(size=(4, 30)).astype(np.float32)
    values[1], values[2] = 0, 0.1
    standard = standardise(10, values)
    assert standard.units.tolist() == [10, 13]
    assert standard.values.norm(dim=1).numpy() == pytest.approx(1, abs=1e-6)
    assert len(standardise(0, values[:, :0]).units) == 0


def test_correlations_with_one_quantity_are_numpys(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        layer = list_layers(connection)[0]
        ids = example_ids(connection, layer.dataset, layer.run_id)
        values = np.random.default_rng(1).normal(size=len(ids))
        units, found = correlate(connection, layer, ids, values, max_bytes=50_000)
        expected = numpys(dense(connection, layer, ids), values[None])[:, 0]
        assert units.tolist() == np.flatnonzero(np.isfinite(expected)).tolist()
        assert found == pytest.approx(expected[units], abs=1e-6)
        units, found = correlate(connection, layer, ids, np.ones(len(ids)))
        assert len(units) == len(found) == 0


def test_what_the_budget_leaves_out_is_told_and_listed(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        layers = list_layers(connection)
        count = len(example_ids(connection, layers[0].dataset, layers[0].run_id))
        told, budget = Told(), sum(layer.unit_count**2 * count for layer in layers)
        tables = list(compute_neuron_neighbours(connection, told, budget=budget))
        assert {(t["layer"][0], t["other_layer"][0]) for t in tables} == {
            (t["layer"][0], t["layer"][0]) for t in tables
        }, "layers with themselves come first"
        assert len(tables) == len(layers)
        (note,) = told.notes
        assert note.count(" with ") == len(layers) * (len(layers) - 1) / 2
        connection.register("first_table", tables[0])
        connection.execute("create or replace view raw_neuron_neighbours as from first_table")
        listed = connection.execute("select count(*) from warn_neighbours").fetchall()
        assert listed == [(len(layers) * (len(layers) + 1) / 2 - 1,)]
    warnings = {r.name: r.violation_count for r in check(tiny_warehouse)}
    assert warnings["warn_neighbours"] == 0


def test_the_view_and_mutual_neighbours_are_what_they_say(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        nearest = {
            (layer, unit, other): (other_unit, value)
            for layer, unit, other, other_unit, value in connection.execute(
                "select layer, unit, other_layer, other_unit, correlation "
                "from neuron_neighbours where neighbour_rank = 1"
            ).fetchall()
        }
        pairs = connection.execute(
            "select layer, unit, other_layer, other_unit, correlation from mutual_neighbours"
        ).fetchall()
    expected = {
        (layer, unit, other, other_unit)
        for (layer, unit, other), (other_unit, _) in nearest.items()
        if nearest[other, other_unit, layer][0] == unit and (layer, unit) < (other, other_unit)
    }
    assert {pair[:4] for pair in pairs} == expected
    assert len(pairs) == len(expected) > 10


def test_samples_are_of_distinct_images_and_always_the_same(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        (layer, *_) = list_layers(connection)
        every = example_ids(connection, layer.dataset, layer.run_id)
        assert sample_ids(connection, layer.dataset, layer.run_id, 1000).tolist() == every.tolist()
        some = sample_ids(connection, layer.dataset, layer.run_id, 20)
        assert len(some) == 20
        assert set(some.tolist()) < set(every.tolist())
        hashes = dict(
            connection.execute("select example_id, image_sha256 from examples").fetchall()
        )
        first = sorted(hashes[i] for i in every.tolist())[:20]
        assert sorted(hashes[i] for i in some.tolist()) == first


@pytest.mark.slow
def test_images_of_two_datasets_are_the_same_by_their_hash(tmp_path):
    place = make_warehouse(tmp_path, ("visual.layer3.0",))
    samples = [
        {"__key__": f"{seed}", "jpg": make_texture(seed), "json": make_record("a cat")}
        for seed in [*range(30, 10, -1), *range(500, 510)]  # twenty of them, backwards
    ]
    tar = write_tar(tmp_path / "other/00000.tar", samples)
    ingest(IngestConfig(str(place), "other"), IngestStep("webdataset", (str(tar),)))
    extract(
        ExtractConfig(str(place), "other", "RN-demo:random", ("visual.layer3.0",), device="cpu")
    )
    build(place, LabelSettings(label_null_repeats=0))
    with connect(place) as connection:
        other, textures = list_layers(connection)
        here, there = shared_ids(
            connection, ("textures", textures.run_id), ("other", other.run_id), 1000
        )
        hashes = connection.execute("select dataset, example_id, image_sha256 from examples")
        known = {(dataset, i): sha for dataset, i, sha in hashes.fetchall()}
        assert len(here) == 18, "seeds 19 and 29 are repeated images there, of others"
        assert there.tolist() == sorted(there.tolist())
        for a, b in zip(here.tolist(), there.tolist(), strict=True):
            assert known["textures", a] == known["other", b]
        # The same model on the same images: each neuron is its own nearest.
        from pipeline.search.like import find_like
        from pipeline.warehouse.find import NamedNeuron

        values = dense(connection, textures, here)
        unit = int(np.argmax((values > 0).mean(axis=1)))
        named = NamedNeuron("visual.layer3.0", unit, dataset="textures")
        heading, own, across = list(find_like(str(place), named, 3))
        assert f"unit {unit}," in heading.title
        assert unit not in [row[0] for row in own.rows]
        assert "Over 18 images" in across.notes[0]
        assert across.rows[0][0] == unit
        assert across.rows[0][1] == pytest.approx(1, abs=1e-3)
