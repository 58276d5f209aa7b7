"""Scores of labels on the testing half: what NumPy and scikit-learn say, and what permuted labels come to."""

from __future__ import annotations

import numpy as np
import pytest
from concept_world import VIEWS, fill
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rounding import near, total
from sklearn.metrics import average_precision_score
from sql_world import SqlWorld, insert

from pipeline.base.progress import NoProgress
from pipeline.evidence import label_scores, matrix
from pipeline.evidence.label_scores import (
    Halves,
    Label,
    Ordered,
    average_precision,
    compute_label_scores,
    draw_others,
    firing_threshold,
    score_label,
)

SIZE = 200
"""Images of a half."""


@given(
    arrays(np.float32, 30, elements=st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0])),
    arrays(bool, 30),
)
def test_average_precision_counts_ties_together(values, shows):
    """Of each activation: the positives that it adds, times the precision among all at or above it."""
    found = average_precision(Ordered.of(values), shows)
    if not shows.any():
        assert np.isnan(found)
        return
    terms = [
        int(shows[values == value].sum())
        * (near(int(shows[values >= value].sum())) / int((values >= value).sum()))
        for value in np.unique(values)
    ]
    assert found == total(terms) / int(shows.sum())


@given(
    arrays(np.float32, 20, elements=st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0])),
    arrays(bool, 20),
)
def test_a_neuron_fires_from_where_f1_is_largest(values, shows):
    def f1(threshold):
        fired = values >= threshold
        return 2 * (fired & shows).sum() / (fired.sum() + shows.sum())

    best = max(sorted(set(values), reverse=True), key=f1)
    assert firing_threshold(Ordered.of(values), shows) == best


def test_detection_is_the_mean_of_hits_and_of_near_misses_that_do_not_show_it():
    screening = np.array([5, 4, 1, 0], np.float32)
    testing = np.array([4, 9, 5, 3, 0, 0], np.float32)
    shown = np.array([True, False, True, False, True, False])
    halves = Halves(screening, testing, np.array([3, 4, 5]))
    scores = score_label(halves, np.array([True, True, False, False]), shown)
    assert scores.fired_count == 3  # from 4 on
    assert scores.detection == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert np.isnan(
        score_label(Halves(screening, testing, np.array([], int)), shown[:4], shown).detection
    )


def test_prediction_falls_below_zero_where_the_halves_say_opposite_things():
    rising, shows = np.array([3, 2, 1, 0], np.float32), np.array([True, True, False, False])
    good = score_label(Halves(rising, rising, np.array([0])), shows, shows)
    assert good.prediction == pytest.approx(np.corrcoef(rising, shows)[0, 1])
    bad = score_label(Halves(rising[::-1].copy(), rising, np.array([0])), shows, shows)
    assert bad.prediction == pytest.approx(-good.prediction)
    flat = np.zeros(4, np.float32)
    assert np.isnan(score_label(Halves(rising, flat, np.array([0])), shows, shows).prediction)
    assert np.isnan(score_label(Halves(flat, rising, np.array([0])), shows, shows).prediction)


def test_other_labels_have_other_names_and_are_always_the_same():
    names = ["cat"] * 30 + ["dog"] * 5 + ["owl"]
    labels = [Label("l", n, name, "animal", "texts", ()) for n, name in enumerate(names)]
    drawn = draw_others(labels)
    assert all(o.concept != mine.concept for o, mine in zip(drawn, labels, strict=True))
    assert drawn == draw_others(labels)
    assert draw_others(labels[:30]) == [None] * 30


@pytest.fixture(scope="module")
def world():
    """Cats, dogs and noise; neurons 0 cats, 1 dogs in part, 2 noise that is labelled dog, 3 dead and cat."""
    world = SqlWorld(
        tuple(v for v in VIEWS if v not in ("tested_labels", "scored_labels", "neuron_labels")),
        ("tested_labels", "raw_contrasting_examples", "stg_runs"),
    )  # fmt: skip
    rng = np.random.default_rng(3)
    kinds = rng.choice(["cat", "dog", ""], 2 * SIZE, p=[0.1, 0.15, 0.75])
    activations = rng.normal(0, 1, (4, 2 * SIZE))
    activations[0] += 4 * (kinds == "cat")
    activations[1] += 2 * (kinds == "dog") * rng.integers(0, 2, 2 * SIZE)
    activations[3] = -1
    halves = ["screening", "testing"] * SIZE
    fill(world.con, activations, [{k} - {""} for k in kinds], halves, keep="positive")
    labels = [(0, "cat", 3), (1, "dog", 1), (2, "dog", 1), (3, "cat", 1)]
    insert(
        world.con,
        "tested_labels",
        [
            {"unit": u, "concept": c, "category": "object", "origin": "texts", "is_labelled": True,
             "enrichment_concept": c, "auroc_concept": "cat" if n > 1 else None,
             "soft_wpmi_concept": c if n > 2 else "cat", "agreement": n}
            for u, c, n in labels
        ],
    )  # fmt: skip
    insert(
        world.con,
        "raw_contrasting_examples",
        [
            {"unit": u, "example_id": int(n), "contrast_rank": rank}
            for u in range(4)
            for rank, n in enumerate(rng.choice(2 * SIZE, 10, replace=False), 1)
        ],
    )
    return world, np.maximum(activations, 0).astype(np.float32), kinds


def compute(world):
    (table,) = list(compute_label_scores(world.con, NoProgress()))
    return table.to_pylist()


def test_scores_are_what_numpy_says(world):
    world, activations, kinds = world
    testing = np.arange(2 * SIZE) % 2 == 1
    rows = {row["unit"]: row for row in compute(world)}
    assert sorted(rows) == [0, 1, 2, 3]
    for unit, row in rows.items():
        for prefix, name in (("", row["concept"]), ("other_", row["other_concept"])):
            shows, values = kinds == name, activations[unit]
            purity = average_precision_score(shows[testing], values[testing])
            assert row[f"{prefix}purity"] == pytest.approx(purity)
            near = world.rows(
                "select example_id from raw_contrasting_examples where unit = ? and example_id % 2 = 1",
                unit,
            )
            best = max(
                sorted(set(values[~testing]), reverse=True),
                key=lambda t: (
                    2 * (shows & ~testing & (values >= t)).sum()
                    / ((~testing & (values >= t)).sum() + (shows & ~testing).sum())
                ),
            )  # fmt: skip
            fired = testing & (values >= best)
            missed = np.array([shows[n] for (n,) in near])
            assert row["near_miss_count"] == len(near)
            expected = (shows[fired].mean() + 1 - missed.mean()) / 2
            assert row[f"{prefix}detection"] == pytest.approx(expected)
            if unit == 3:
                assert row[f"{prefix}prediction"] is None, "a dead neuron predicts nothing"
                continue
            both = [np.corrcoef(values[half], shows[half])[0, 1] for half in (~testing, testing)]
            assert row[f"{prefix}prediction"] == pytest.approx(np.sign(both[0]) * both[1])
    assert rows[0]["purity"] > 0.8 > rows[1]["purity"] > rows[2]["purity"]
    assert rows[0]["other_agreement"] == 0
    for unit in (1, 2):  # the other is a cat's: it has the methods that said cat
        assert rows[unit]["other_concept"] == "cat"
        assert rows[unit]["other_agreement"] == 1
        assert rows[unit]["permuted_agreement"] == 0


def test_a_permuted_concept_is_worth_no_more_than_its_share(world):
    world, _, kinds = world
    rows = compute(world)
    share = (kinds == "cat")[1::2].mean()
    assert rows[0]["permuted_purity"] == pytest.approx(share, abs=0.1)
    assert abs(rows[0]["permuted_prediction"]) < 0.2
    assert rows[0]["prediction"] > 0.6


def test_blocks_and_seeds_change_nothing(world, monkeypatch):
    world, *_ = world
    expected = compute(world)
    assert compute(world) == expected
    monkeypatch.setattr(label_scores, "iter_blocks", lambda c, layer, ids: matrix.iter_blocks(
        c, layer, ids, max_bytes=1
    ))  # fmt: skip
    assert compute(world) == expected


def test_layers_that_keep_no_activations_have_others_and_no_scores(world):
    world, *_ = world
    world.con.execute("update stg_layers set is_cut = true")
    try:
        rows = compute(world)
    finally:
        world.con.execute("update stg_layers set is_cut = false")
    assert {row["purity"] for row in rows} == {row["prediction"] for row in rows} == {None}
    assert {row["other_agreement"] for row in rows} == {None}
    assert all(row["other_concept"] in ("cat", "dog") for row in rows)
