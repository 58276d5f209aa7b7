"""Pushes, ranks, faithfulness and losses of given measurements."""

from __future__ import annotations

import pytest
from sql_world import empty_world

VIEWS = ("effect_levels", "concept_effects", "neuron_faithfulness", "neuron_effects")


@pytest.fixture
def world():
    world = empty_world(VIEWS)
    world.add("stg_runs", "run_id", "r")
    return world


def add(world, unit, changes, levels, concept="cat", other="dog"):
    """``changes``: by concept, of the neuron and of the direction by level; ``levels``: by level, the
    probabilities ``hidden_set, hidden_other_set, hidden_direction, shown_set``."""
    for name, (ours, turned) in changes.items():
        for level, change, direction in zip((0, 1, 2), ours, turned, strict=True):
            world.insert("raw_concept_effects", [{
                "unit": unit, "level": level, "concept": name, "cosine_change": change,
                "cosine_direction": direction,
            }])  # fmt: skip
    for level, (hidden, hidden_other, turned, shown) in enumerate(levels):
        world.insert("raw_effects", [{
            "unit": unit, "level": level, "concept": concept, "other_concept": other,
            "concept_count": len(changes), "hidden_count": 4, "shown_count": 2, "held_out_count": 1,
            "hidden_set": hidden, "hidden_other_set": hidden_other, "hidden_direction": turned,
            "shown_plain": 0.75, "shown_set": shown, "shown_other_plain": 0.25,
            "shown_other_set": 0.125, "shown_direction": 0.5,
        }])  # fmt: skip


CHANGES = {
    "cat": ((-0.5, 0.25, 0.5), (9.0, 0.0, 0.0)),
    "dog": ((0.5, 0.25, 0.0), (9.0, 0.5, 0.25)),
    "owl": ((0.5, 0.5, 0.25), (9.0, 0.0, 0.0)),
}
LEVELS = ((0.25, 0.5, 0.5, 0.25), (0.5, 0.25, 0.25, 0), (0.75, 0.125, 0.75, 0))


def found(world, unit):
    result = world.con.execute("from neuron_effects where unit = ?", [unit])
    names = [column[0] for column in result.description]
    (row,) = result.fetchall()
    return dict(zip(names, row, strict=True))


def test_the_push_is_the_mean_over_the_levels_above_zero_and_ties_go_by_name(world):
    add(world, 1, CHANGES, LEVELS)
    world.shuffle()
    row = found(world, 1)
    # cat and owl are pushed by 0.375 each
    assert (row["pushed_concept"], row["pushed_change"]) == ("cat", 0.375)
    assert (row["label_rank"], row["label_change"]) == (1, 0.375)
    assert (row["other_rank"], row["other_change"]) == (3, 0.125)
    assert (row["direction_concept"], row["direction_rank"], row["direction_change"]) == (
        "dog",
        2,
        0,
    )


def test_faithfulness_is_the_share_of_what_was_left_to_gain(world):
    add(world, 1, CHANGES, LEVELS)
    row = found(world, 1)
    assert row["faithfulness"] == pytest.approx((0.75 - 0.25) / 0.75)
    assert row["other_faithfulness"] == 0, "what falls gains nothing"
    assert row["direction_faithfulness"] == pytest.approx((0.75 - 0.5) / 0.5)
    assert (row["loss"], row["other_loss"], row["direction_loss"]) == (0.5, 0.125, 0.25)


def test_nothing_left_to_gain_and_no_label_are_null(world):
    add(world, 1, CHANGES, ((1.0, 0, 0, 0), (1.0, 0, 0, 0), (1.0, 0, 0, 0)))
    add(world, 2, CHANGES, ((None,) * 4,) * 3, concept=None, other=None)
    assert found(world, 1)["faithfulness"] is None
    row = found(world, 2)
    assert (row["pushed_concept"], row["pushed_change"]) == ("cat", 0.375)
    told = {
        k
        for k in ("label_rank", "label_change", "other_rank", "faithfulness")
        if row[k] is not None
    }
    assert told == set()
