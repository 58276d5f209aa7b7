"""P(category | activation): given rows, expected rows."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest
from sql_world import SqlWorld

VIEWS = (
    *("stg_samples", "drawn_examples", "shown_counts", "human_labels"),
    "conditional_probabilities",
)
VALUES = {1: (0.0, 0), 2: (1.0, 16), 3: (1.5, 16), 4: (2.5, 17), 5: (3.0, 17), 6: (4.1, 18)}
"""Activation and octave of each example: SD bins 0 0 0 1 1 2."""
SHOWN = [
    (2, "testing", "cat", "animal", "texts"),
    (2, "testing", "dog", "animal", "texts"),
    (4, "testing", "Japan", "region", "texts"),
    (5, "screening", "Japan", "region", "texts"),
    (6, "testing", "Japan", "region", "texts"),
    (6, "testing", "Chile", "region", "texts"),
    (2, "testing", "cat", "animal", "stimulus"),
    (6, "testing", "Japan", "region", "stimulus"),
    (6, "testing", "cat", "animal", "similarity"),
]
HUMAN = [
    (1, "politics", "ann", 0.0),
    (4, "politics", "ann", 2.5),
    (6, "sport", "ann", 4.1),
    (6, "politics", "bob", 4.1),
    (99, "politics", "ann", 5.9),  # not sampled, and still in its bin
    (98, "politics", "ann", None),
]


def test_conditional_probabilities_of_given_rows():
    world = SqlWorld(VIEWS, threads=1, text_kinds=("caption",))
    world.add("stg_layers", "tower", "visual")
    world.add("layer_axes", "axis", "sd")
    world.add("stg_runs", "top_k", 1)
    world.add("neuron_stats", "unit mean sd min max", (0, 1.0, 2.0, 0.0, 9.0))
    samples = [(i, octave, value) for i, (value, octave) in VALUES.items()]
    shared = {"unit": 0, "shard_ordinal": 0, "bin_example_count": 1}
    world.add("raw_shard_samples", "example_id bin activation", *samples, **shared)
    halves = [(i, "screening" if i == 5 else "testing") for i in VALUES]
    world.add("stg_examples", "example_id half", *halves)
    world.add("image_texts", "example_id", 1, 2, 4, 5, 6, 4, text_kind="caption")
    world.add("image_texts", "example_id", 3, text_kind="page")
    world.add("stg_stimuli", "example_id concept", (2, "cat"), (6, "Japan"), (1, None))
    world.add("run_concepts", "example_id half concept category origin", *SHOWN)
    label = (0, "Japan", "region", True)
    world.add("tested_labels", "unit concept category is_labelled", label)
    world.add("raw_human_labels", "example_id category labeller activation", *HUMAN, unit=0)
    got = world.rows(
        "select origin, labeller, concept, category, sd_bin, sample_count, hit_count "
        "from conditional_probabilities order by all"
    )
    assert got == [
        ("human", "ann", None, "politics", 0, 1, 1),
        ("human", "ann", None, "politics", 1, 1, 1),
        ("human", "ann", None, "politics", 2, 2, 1),
        ("human", "ann", None, "sport", 0, 1, 0),
        ("human", "ann", None, "sport", 1, 1, 0),
        ("human", "ann", None, "sport", 2, 2, 1),
        ("human", "bob", None, "politics", 2, 1, 1),
        ("similarity", None, None, "animal", 0, 3, 0),
        ("similarity", None, None, "animal", 1, 1, 0),
        ("similarity", None, None, "animal", 2, 1, 1),
        ("stimulus", None, "Japan", "region", 0, 1, 0),
        ("stimulus", None, "Japan", "region", 2, 1, 1),
        ("stimulus", None, None, "animal", 0, 1, 1),
        ("stimulus", None, None, "animal", 2, 1, 0),
        ("stimulus", None, None, "region", 0, 1, 0),
        ("stimulus", None, None, "region", 2, 1, 1),
        ("texts", None, "Japan", "region", 0, 2, 0),
        ("texts", None, "Japan", "region", 1, 1, 1),
        ("texts", None, "Japan", "region", 2, 1, 1),
        ("texts", None, None, "animal", 0, 2, 1),
        ("texts", None, None, "animal", 1, 1, 0),
        ("texts", None, None, "animal", 2, 1, 0),
        ("texts", None, None, "region", 0, 2, 0),
        ("texts", None, None, "region", 1, 1, 1),
        ("texts", None, None, "region", 2, 1, 1),
    ]
    for hits, trials, share, low, high in world.rows(
        "select hit_count, sample_count, probability, probability_low, probability_high "
        "from conditional_probabilities"
    ):
        exact = binomtest(hits, trials).proportion_ci(0.95, "wilson")
        assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-12)
        assert share == hits / trials
    edges = world.rows(
        "select distinct sd_bin, bin_left_sd, bin_right_sd from conditional_probabilities "
        "order by all"
    )
    assert edges == [(0, 0.0, 1.0), (1, 1.0, 2.0), (2, 2.0, 3.0)]
    circular = "select distinct origin, is_circular from conditional_probabilities order by all"
    assert {told for _, told in world.rows(circular)} == {False}
    world.con.execute("update stg_layers set tower = 'text'")
    assert world.rows(circular) == [
        ("human", False),
        ("similarity", False),
        ("stimulus", True),
        ("texts", True),
    ]
