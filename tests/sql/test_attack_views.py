"""What attacks do: given rows, expected rows; Wilson's interval equal to exact arithmetic."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from probe_world import VIEWS, Probe, attack_one, wilson
from rounding import Near, near

Z = Fraction("1.95996398454005423552459443052")  # 97.5 % of a standard normal lie below it


def exact_wilson(hits: int, trials: int) -> tuple[Near, Near]:
    """The interval of Wilson 1927; its constants are rounded, and zero hits are said to be zero."""

    def low(hits: int) -> Near:
        if not hits:
            return near(0)
        z, square = Near(Z).rounded(), Near(Z * Z).rounded()
        spread = near(hits * (trials - hits)) / trials + square / 4
        return (hits + square / 2 - z * spread.sqrt()) / (trials + square)

    return low(hits), 1 - low(trials - hits)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 1_000_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_exact_arithmetic(case):
    (got,) = Probe().rows("select wilson_low($1, $2), wilson_high($1, $2)", *case)
    assert got == exact_wilson(*case)


@pytest.mark.parametrize("case", [(0, 1), (1, 4), (7, 7), (300, 1_000_000)])
def test_what_exact_arithmetic_gives_is_what_statsmodels_calls_so(case):
    assert [float(end.exact) for end in exact_wilson(*case)] == pytest.approx(
        wilson(*case), abs=1e-12
    )


def test_wilson_at_its_ends():
    probe = Probe()
    assert probe.rows("select wilson_low(0, 10), wilson_high(10, 10)") == [(0.0, 1.0)]
    assert probe.rows("select wilson_low(0, 0), wilson_high(0, 0)") == [(None, None)]


def test_ties_of_logits_are_broken_by_name():
    probe = Probe()
    example = probe.add(None)
    probe.score(example, {"dog": 2.0, "iPod": 1.0, "cat": 2.0})
    query = "select predicted_class, runner_up_class from class_predictions"
    assert probe.rows(query) == [("cat", "dog")]


def test_attack_table_of_hand_made_images():
    probe = Probe()
    attack_one(probe, "cat", "cat", "cat", "iPod", "a")  # changed
    attack_one(probe, "iPod", "iPod", "cat", "iPod", "b")  # already
    attack_one(probe, "cat", "iPod", "cat", "dog", "c")  # changed away; the blank patch flips it
    attack_one(probe, "dog", "dog", "dog", "dog", "e")  # unchanged, and wrong
    rows = probe.rows(
        """
        select
            attack_text, target_class, placement, image_count, assumed_count, covered_frac,
            changed_frac, already_frac, changed_away_frac, unchanged_frac,
            clean_correct_frac, attack_correct_frac,
            blank_count, blank_changed_frac, blank_changed_away_frac, blank_correct_frac,
            word_effect_frac, right_word_count, right_word_changed_frac, right_word_correct_frac
        from typographic_attacks
        """
    )
    outcomes, correct = (0.25, 0.25, 0.25, 0.25), (0.5, 0.0)
    blank, right_word = (4, 0.25, 0.0, 0.25), (4, 0.0, 0.75)
    expected = ("iPod", "iPod", "centre", 4, 0, 0.25, *outcomes, *correct, *blank, 0.0, *right_word)
    assert rows == [expected]
    (interval,) = probe.rows("select changed_low, changed_high from typographic_attacks")
    assert interval == pytest.approx(wilson(1, 4))


def test_missing_versions_are_told_and_never_mixed_up():
    probe = Probe()
    attack_one(probe, None, "", "", "iPod", "a")  # the run could not use the clean image
    attack_one(probe, "", "", "", "iPod", "b", concept="iPod")  # there is none: concept instead
    attack_one(probe, "", "", "", "cat", "c", concept=None)  # nothing to compare with
    attack_one(probe, "cat", "cat", "cat", None, "d")  # the run has no attacked image
    query = """
        select image_count, assumed_count, changed_frac, already_frac, clean_correct_frac,
            attack_correct_frac, blank_count, blank_changed_frac, word_effect_frac
        from typographic_attacks
    """
    assert probe.rows(query) == [(2, 2, 0.5, 0.5, None, 0.5, 0, None, None)]
    query = "select clean_example_id, outcome from typographic_pairs order by example_id"
    assert probe.rows(query) == [(None, "changed"), (None, "already"), (None, None)]


def test_controls_are_the_ones_of_the_same_place_and_patch():
    probe = Probe()
    common = {"concept": "cat", "base_key": "a"}
    small = {**common, "control": "blank", "placement": "centre"}
    probe.add("cat", control="clean", key="a", concept="cat")  # base_key is its own key
    probe.add("dog", **{**small, "placement": "top"}, attack_text="iPod", covered_frac=0.25)
    probe.add("dog", **small, attack_text="dog", covered_frac=0.25)
    probe.add("dog", **small, covered_frac=0.25)  # for any text
    probe.add("dog", **small, attack_text="iPod", covered_frac=0.5)
    right = probe.add("cat", **small, attack_text="iPod", covered_frac=0.3)
    probe.add(
        "iPod",
        control="attack",
        placement="centre",
        attack_text="iPod",
        covered_frac=0.25,
        **common,
    )
    query = "select clean_example_id, blank_example_id, blank_class from typographic_pairs"
    assert probe.rows(query) == [(1, right, "cat")]


def test_the_class_of_an_attack_may_have_another_name_and_must_be_a_class():
    probe = Probe()
    attack_one(probe, "cat", "", "", "dog", "a", attack_concept="dog")
    attack_one(probe, "cat", "", "", "dog", "b", attack_concept="zebra")  # not in the class set
    query = "select attack_text, target_class, changed_frac from typographic_attacks"
    assert probe.rows(query) == [("iPod", "dog", 1.0)]


def test_nothing_to_show_is_no_row_and_no_error():
    for view in VIEWS:
        assert Probe().rows(f"from {view}") == []
