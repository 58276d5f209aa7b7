"""Shares of given ablations, counted by hand."""

from __future__ import annotations

import pytest
from probe_world import wilson
from sql_world import empty_world

ROW = {
    "layer": "l", "class_set": "c", "attack_text": "iPod", "target_class": "iPod", "placement": "centre",
    "chosen_count": 9,
}  # fmt: skip


@pytest.fixture
def world():
    world = empty_world(("attack_ablations",))
    world.add("stg_runs", "run_id", "r")
    return world


def add(world, draw, attacked, clean, units="5,3"):
    """``attacked``: plain class and class without the neurons; ``clean``: the latter, of cats."""
    rows = [(n, True, *pair) for n, pair in enumerate(attacked)]
    rows += [(100 + n, False, "cat", name) for n, name in enumerate(clean)]
    for example_id, is_attacked, plain, predicted in rows:
        world.insert("raw_ablations", [ROW | {
            "neuron_count": 2, "draw": draw, "units": units, "example_id": example_id,
            "is_attacked": is_attacked, "wanted_class": "cat", "plain_class": plain,
            "predicted_class": predicted,
        }])  # fmt: skip


def test_shares_of_the_neurons_that_move_and_of_random_ones(world):
    flips = [("iPod", "cat"), ("iPod", "cat"), ("iPod", "dog"), ("iPod", "iPod"), ("cat", "cat")]
    add(world, 0, flips, ["cat", "cat", "dog"])
    add(world, 1, [("iPod", "iPod")] * 4, ["cat", "cat", "cat"], "1,2")
    add(world, 2, [("iPod", "cat")] * 2 + [("iPod", "iPod")] * 2, ["cat", "cat", "iPod"], "4,5")
    world.shuffle()
    result = world.con.execute("from attack_ablations")
    names = [column[0] for column in result.description]
    (values,) = result.fetchall()
    row = dict(zip(names, values, strict=True))
    assert (row["neuron_count"], row["units"], row["chosen_count"]) == (2, [5, 3], 9)
    assert (row["flip_count"], row["unsteady_count"], row["back_count"]) == (4, 1, 2)
    assert (row["back_frac"], row["away_frac"]) == (0.5, 0.25)
    assert (row["back_low"], row["back_high"]) == pytest.approx(wilson(2, 4))
    assert (row["draw_count"], row["random_back_frac"], row["random_back_max"]) == (2, 0.25, 0.5)
    assert (row["clean_count"], row["clean_changed_frac"]) == (3, pytest.approx(1 / 3))
    assert (row["clean_changed_low"], row["clean_changed_high"]) == pytest.approx(wilson(1, 3))
    assert row["random_clean_changed_frac"] == pytest.approx(1 / 6)


def test_nothing_that_was_tried_is_null(world):
    add(world, 0, [("cat", "cat")], [])
    add(world, 1, [("cat", "cat")], [])
    names = "unsteady_count, back_frac, back_low, random_back_frac, clean_changed_frac"
    assert world.rows(f"select {names} from attack_ablations") == [(1, None, None, None, None)]
