"""Stroop cards: given cards, expected cells and their summary."""

import numpy as np
import pytest
from probe_world import Probe, wilson


def card(probe, ink, word, predicted):
    return probe.add(predicted, stimulus="stroop", ink_name=ink, word_name=word)


def test_stroop_cells_and_their_summary():
    probe = Probe(("red", "green", "blue"))
    for ink, word, predicted in (
        ("red", "green", "green"),  # three cards of one cell: the word wins by two to one
        ("red", "green", "green"),
        ("red", "green", "red"),
        ("green", "red", "green"),  # the ink wins
        ("blue", "red", "green"),  # a third colour
        ("blue", "blue", "blue"),
        ("red", None, "red"),
        ("green", None, "blue"),
        ("pink", "red", "red"),  # pink is no class here
    ):
        card(probe, ink, word, predicted)
    query = """
        select ink_name, word_name, card_kind, card_count, predicted_class, word_count, ink_count,
            winner
        from stroop_cells order by all
    """
    assert probe.rows(query) == [
        ("blue", "blue", "congruent", 1, "blue", 1, 1, "both"),
        ("blue", "red", "incongruent", 1, "green", 0, 0, "other"),
        ("green", "", "neutral", 1, "blue", 0, 0, "other"),
        ("green", "red", "incongruent", 1, "green", 0, 1, "ink"),
        ("red", "", "neutral", 1, "red", 0, 1, "ink"),
        ("red", "green", "incongruent", 3, "green", 2, 1, "word"),
    ]
    (row,) = probe.rows(
        "select * exclude (dataset, model_id, run_id, class_set) from stroop_summary"
    )
    low, high = wilson(1, 3)
    assert row == pytest.approx((3, 1, 1, 1, 1, 1 / 3, low, high, 5, 0.4, 0.4, 1, 1.0, 2, 0.5))
    (probabilities,) = probe.rows(
        "select word_probability, ink_probability from stroop_cells where card_count = 3"
    )
    high, low = np.e / (np.e + 2), 1 / (np.e + 2)
    assert probabilities == pytest.approx(((2 * high + low) / 3, (high + 2 * low) / 3), rel=1e-6)
