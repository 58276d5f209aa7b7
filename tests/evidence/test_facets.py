"""The Halle Berry test: exact, seeded, fair under the null, and true of neurons made to answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from facet_world import FacetWorld
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import SINGLE
from rounding import auroc as exact_auroc
from scipy.stats import kstest, rankdata

from pipeline.evidence.cuts import cut
from pipeline.evidence.facets import auroc_of, compute_facets_of, rank_twice, surrogate_sums
from pipeline.evidence.matrix import list_whole_layers
from pipeline.evidence.strata import SURROGATES, Half, Stratum

FORMS = ("photo", "line drawing", "rendered word")


@settings(max_examples=80)
@given(
    st.integers(1, 4).flatmap(
        lambda units: st.integers(1, 30).flatmap(
            lambda size: st.lists(
                st.lists(
                    st.sampled_from([-1.5, -0.0, 0.0, 0.25, 0.25, 1.0, 7.0]) | st.floats(-4, 4, width=16),
                    min_size=size,
                    max_size=size,
                ),
                min_size=units,
                max_size=units,
            )
        )
    )
)  # fmt: skip
def test_ranks_are_scipys(rows):
    values = np.array(rows, np.float32)
    assert np.array_equal(rank_twice(torch.from_numpy(values)), 2 * rankdata(values, axis=1))


def stratum(size: int, positives: int = 10, name: str = "photo", dataset: str = "d") -> Stratum:
    shown = {1: np.arange(positives)}
    return Stratum(
        dataset, "facet", name, "stimulus", Half(np.arange(size), shown), Half(np.arange(0), {})
    )


def test_surrogates_are_seeded_by_their_stratum_alone():
    draws = stratum(40).draw()
    assert draws.shape == (SURROGATES, 10)
    assert all(len(set(row)) == 10 for row in draws.tolist())
    assert np.array_equal(draws, stratum(40).draw())
    longer = stratum(40, positives=25).draw()  # other concepts change nothing
    assert np.array_equal(longer[:, :10], draws)
    assert not np.array_equal(draws, stratum(40, name="painting").draw())
    assert not np.array_equal(draws, stratum(40, dataset="e").draw())
    assert len({tuple(row) for row in draws.tolist()}) == SURROGATES


def test_every_image_is_as_likely_in_a_surrogate():
    size, positives = 20, 5
    draws = np.concatenate([stratum(size, positives, name=f"{n}").draw() for n in range(60)])
    counts = np.bincount(draws.ravel(), minlength=size)
    expected = len(draws) * positives / size
    sd = np.sqrt(expected * (1 - positives / size))
    assert np.abs(counts - expected).max() < 4.5 * sd


def test_surrogate_sums_are_sums_over_their_images(monkeypatch):
    from pipeline.evidence import facets

    generator = np.random.default_rng(0)
    ranks = torch.from_numpy(generator.integers(2, 500_000, (7, 50), dtype=np.int32))
    draws = torch.from_numpy(stratum(50).draw())
    expected = ranks.numpy().astype(np.int64)[:, draws[:, :4].numpy()].sum(2)
    assert np.array_equal(surrogate_sums(ranks, draws, 4), expected)
    monkeypatch.setattr(facets, "GATHER_BYTES", 1)
    assert np.array_equal(surrogate_sums(ranks, draws, 4), expected)


def test_auroc_of_large_sums_is_exact():
    size, positives = 1_000_000, 400_000
    top = 2 * sum(range(size - positives + 1, size + 1))
    assert auroc_of(np.array([top, top // 1]), positives, size).tolist() == [1.0, 1.0]
    assert auroc_of(np.array(positives * (size + 1)), positives, size) == 0.5


def random_world(seed: int, kind: str = "sparse", images: int = 160, units: int = 9) -> FacetWorld:
    """Images of three forms and two halves, four concepts, every kind of activation."""
    generator = np.random.default_rng(seed)
    world = FacetWorld(facet_min_count=2)
    world.add_run()
    for _ in range(images):
        world.add_image(
            str(generator.choice(FORMS)),
            str(generator.choice(["screening", "testing"])),
            tuple(c for c in "abcd" if generator.random() < 0.2),
        )
    world.add_image("photo", "testing", ("a",), is_duplicate=True)
    matrix = generator.normal(size=(units, images + 1))
    if kind == "sparse":
        matrix = np.maximum(matrix - 0.5, 0)
    elif kind == "tied":
        matrix = np.round(matrix)
    world.add_activations(matrix, keep_all=kind != "sparse")
    for unit in range(units):
        for n, concept in enumerate("abcd"):
            world.add_candidate(unit, concept, z=5.0 - n)
    return world


@pytest.mark.parametrize("kind", ["sparse", "tied", "signed"])
@pytest.mark.slow
def test_aurocs_within_strata_are_those_of_the_raw_activations(kind):
    sklearn = pytest.importorskip("sklearn.metrics", reason="pip install scikit-learn")
    world = random_world(3, kind)
    found = world.compute()
    raw = {
        (unit, example): value
        for unit, example, value in world.rows("select unit, example_id, activation from stg_activations")
    }  # fmt: skip
    images = world.rows(
        "select example_id, half, facet from stg_examples inner join stg_stimuli "
        "using (dataset, example_id) inner join stg_run_examples using (dataset, example_id) "
        "where not is_duplicate"
    )
    shown = set(world.rows("select example_id, concept from run_concepts"))
    assert len(found) == 9 * 3 * 3  # units, the three best candidates, forms
    for row in found:
        for half, prefix in (("testing", ""), ("screening", "screening_")):
            here = [i for i, h, facet in images if h == half and facet == row["stratum"]]
            truth = np.array([(i, row["concept"]) in shown for i in here])
            values = np.array([raw.get((row["unit"], i), 0.0) for i in here])
            assert row[f"{prefix}positive_count"] == truth.sum()
            assert row[f"{prefix}other_count"] == (~truth).sum()
            if min(truth.sum(), (~truth).sum()) < 2:
                assert row[f"{prefix}auroc"] is None
                continue
            auroc = row[f"{prefix}auroc"]
            assert auroc == exact_auroc(values[truth], values[~truth])
            assert auroc == pytest.approx(sklearn.roc_auc_score(truth, values))
    assert world.rows("select count(*) from check_facets") == [(0,)]


@pytest.mark.slow
def test_surrogate_aurocs_are_those_of_their_images():
    world = random_world(4)
    found = [row for row in world.compute() if row["auroc"] is not None]
    raw = {
        (u, i): v for u, i, v in world.rows("select unit, example_id, activation from stg_activations")
    }  # fmt: skip
    for row in found[::7]:
        here = [i for (i,) in world.rows(
            "select example_id from example_strata inner join stg_examples using (dataset, example_id) "
            f"where half = 'testing' and stratum = '{row['stratum']}' order by example_id"
        )]  # fmt: skip
        draws = stratum(len(here), row["positive_count"], row["stratum"]).draw()
        values = np.array([raw.get((row["unit"], i), 0.0) for i in here])
        expected = [
            exact_auroc(values[places], np.delete(values, places)).rounded(unit=SINGLE)
            for places in draws.astype(int)
        ]
        assert row["surrogate_aurocs"] == expected


@pytest.mark.slow
def test_no_row_depends_on_blocks_threads_or_the_order_of_rows():
    whole = random_world(5).compute()
    assert random_world(5).compute(test_bytes=1) == whole  # one unit at a time
    assert random_world(5).compute(test_bytes=4 * 161 * 2) == whole
    shuffled = random_world(5)
    shuffled.world.shuffle("stg_activations", "run_concepts", "stg_stimuli", "neuron_concepts")
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert shuffled.compute() == whole
    finally:
        torch.set_num_threads(threads)


@pytest.mark.slow
def test_rows_of_blocks_of_units_are_those_of_the_whole():
    world = random_world(5)
    whole = world.compute()
    (layer,) = list_whole_layers(world.con)
    blocks = cut(range(layer.unit_count), 4)
    tables = (table for units in blocks for table in compute_facets_of(world.con, layer, units))
    assert [row for table in tables for row in table.to_pylist()] == whole


@pytest.mark.slow
def test_surrogates_that_do_not_fit_in_memory_are_drawn_again(monkeypatch):
    from pipeline.evidence import facets

    whole = random_world(5).compute()
    monkeypatch.setattr(facets, "DRAW_BYTES", 0)
    assert random_world(5).compute(test_bytes=1) == whole


@pytest.mark.parametrize("changed", ["screening", "testing"])
@pytest.mark.slow
def test_one_half_says_nothing_about_the_other(changed):
    before, world = random_world(6).compute(), random_world(6)
    world.con.execute(
        "update stg_activations set activation = hash(activation, example_id) % 1000 "
        f"where example_id in (select example_id from stg_examples where half = '{changed}')"
    )
    after = world.compute()
    own = [name for name in before[0] if name.startswith("screening_")]
    other = [name for name in before[0] if name not in own]
    kept, moved = (other, own) if changed == "screening" else (own, other)
    assert [[row[n] for n in kept] for row in after] == [[row[n] for n in kept] for row in before]
    assert [[row[n] for n in moved] for row in after] != [[row[n] for n in moved] for row in before]


@pytest.mark.slow
def test_p_is_uniform_where_neurons_know_nothing():
    generator = np.random.default_rng(7)
    world = FacetWorld()
    world.add_run()
    units, images, concepts = 60, 240, "abcdefghij"
    for n in range(images):
        world.add_image(FORMS[n % 3], "testing", (concepts[generator.integers(10)],))
    world.add_activations(np.maximum(generator.normal(size=(units, images)), 0))
    for unit in range(units):
        for concept in generator.choice(list(concepts), 3, replace=False):
            world.add_candidate(unit, str(concept))
    world.compute()
    for view in ("neuron_facets", "neuron_multimodality"):
        p = np.array([p for (p,) in world.rows(f"select p_value from {view} where p_value > 0")])
        assert len(p) >= 150
        assert p.min() >= 0.01
        spread = p - np.random.default_rng(0).uniform(
            0, 0.01, len(p)
        )  # p is a hundredth, not a real
        assert kstest(spread, "uniform").pvalue > 1e-3, view
        assert abs((p <= 0.05).mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / len(p))
