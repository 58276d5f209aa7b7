"""What supports a label: scores beside their baselines, thresholds, and what is not measured."""

from __future__ import annotations

import pytest
from sql_world import empty_world

VIEWS = ("scored_labels", "neuron_labels", "label_evidence", "neuron_faithfulness")
LABEL = {
    "unit": 7, "concept": "cat", "category": "animal", "origin": "texts", "is_labelled": True,
    "agreement": 3, "enrichment_concept": "cat",
}  # fmt: skip
SCORES = {
    "unit": 7, "concept": "cat", "category": "animal", "origin": "texts", "other_concept": "dog",
    "other_agreement": 0, "permuted_agreement": 1,
    "purity": 0.8, "other_purity": 0.1, "permuted_purity": 0.05,
    "detection": 0.9, "other_detection": 0.5, "permuted_detection": 0.5,
    "prediction": 0.6, "other_prediction": 0.0, "permuted_prediction": -0.1,
}  # fmt: skip
FRESH = [
    {"unit": 7, "concept": "cat", "forms": "rendered word", "image_count": 4, "control_count": 40,
     "auc": 1.0, "mad": 3.0, "permuted_auc": 0.5, "permuted_mad": 0.0},
    {"unit": 7, "concept": "dog", "auc": 0.5, "mad": 0.1},
]  # fmt: skip
NAMES = ("fresh", "purity", "detection", "prediction", "faithfulness", "agreement")


@pytest.fixture
def world():
    world = empty_world(VIEWS)
    world.insert("tested_labels", [LABEL, {"unit": 8, "reason": "not significant"}])
    return world


def measure_all(world, **changes):
    world.insert("raw_label_scores", [SCORES | changes])
    world.insert("raw_fresh_scores", FRESH)
    effect(world)


def effect(world, concept="cat", gain=0.5):
    for level, p in ((0, 0.0), (1, gain), (2, gain / 2)):
        world.insert("effect_levels", [{
            "unit": 7, "level": level, "concept": concept, "other_concept": "owl", "hidden_set": p,
            "hidden_other_set": 0.125 * level, "hidden_direction": 0.0,
        }])  # fmt: skip


def found(world, query="from label_evidence"):
    result = world.con.execute(query)
    names = [column[0] for column in result.description]
    (row,) = result.fetchall()
    return dict(zip(names, row, strict=True))


def votes(world):
    row = found(world)
    return {name: row[f"is_{name}_supported"] for name in NAMES}


def test_all_six_support_it(world):
    measure_all(world)
    row = found(world)
    assert votes(world) == dict.fromkeys(NAMES, True)
    assert (row["supported_count"], row["measured_count"], row["is_unsupported"]) == (6, 6, False)
    assert (row["fresh_forms"], row["other_fresh_auc"]) == ("rendered word", 0.5)
    assert (row["faithfulness"], row["other_faithfulness"]) == (0.5, 0.25)
    assert row["direction_faithfulness"] == 0


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("purity", {"purity": 0.49}),
        ("purity", {"other_purity": 0.8}),
        ("purity", {"permuted_purity": 0.9}),
        ("detection", {"detection": 0.74}),
        ("detection", {"other_detection": 0.95}),
        ("prediction", {"prediction": 0.29}),
        ("agreement", {"other_agreement": 3}),
    ],
)
def test_a_score_that_is_low_or_below_a_baseline_does_not_support_it(world, name, changes):
    measure_all(world, **changes)
    assert votes(world) == dict.fromkeys(NAMES, True) | {name: False}
    assert found(world)["supported_count"] == 5


@pytest.mark.parametrize("change", ["auc = 0.89", "mad = 0.9", "permuted_auc = 1", "auc = null"])
def test_fresh_images_take_auc_and_mad(world, change):
    measure_all(world)
    world.con.execute(f"update raw_fresh_scores set {change} where concept = 'cat'")
    assert votes(world)["fresh"] is (None if "null" in change else False)


def test_nothing_measured_is_null_and_not_zero(world):
    row = found(world)
    assert votes(world) == dict.fromkeys(NAMES) | {"agreement": True}
    assert (row["supported_count"], row["measured_count"]) == (1, 1)
    world.con.execute("update tested_labels set agreement = null")  # a layer that is cut
    row = found(world)
    assert (row["supported_count"], row["measured_count"], row["is_unsupported"]) == (0, 0, None)


def test_what_was_measured_for_another_label_does_not_count(world):
    world.insert("raw_label_scores", [SCORES | {"concept": "dog"}])
    world.insert("raw_fresh_scores", FRESH[1:])
    effect(world, concept="dog")
    assert votes(world) == dict.fromkeys(NAMES) | {"agreement": True}


def test_a_label_that_nothing_supports_is_said_to_be_so(world):
    world.con.execute("update tested_labels set agreement = 1 where unit = 7")
    assert found(world)["is_unsupported"] is True


def test_labels_tell_their_support_and_other_neurons_none(world):
    measure_all(world)
    query = "select unit, concept, supported_count, measured_count from neuron_labels order by unit"
    assert world.rows(query) == [(7, "cat", 6, 6), (8, None, None, None)]
