"""Labels on permuted concepts: the rule is that of the views, and next to nothing is labelled."""

import math
from fractions import Fraction

import numpy as np
import pytest
from concept_world import SETTINGS, fill, open_world
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import DOUBLE, Near, hypergeometric_tail
from sql_world import insert

from pipeline.base.progress import NoProgress
from pipeline.evidence.nulls import _read_run, compute_label_nulls, count_labelled
from pipeline.evidence.nulls import hypergeometric_log_tail as log_tails


@settings(max_examples=30)
@given(st.integers(1, 300), st.data())
def test_hypergeometric_tails_equal_exact_arithmetic(population, data):
    cases = data.draw(
        st.lists(st.tuples(st.integers(0, population), st.integers(0, population)), max_size=4)
    )
    cases = [(m, d, h) for m, d in cases for h in range(min(m, d) + 1)]
    marked, drawn, hits = np.array(cases, dtype=np.int64).reshape(-1, 3).T
    got = log_tails(population, marked, drawn, hits)
    assert got.tolist() == [exact_log_tail(population, *case) for case in cases]


def exact_log_tail(population, marked, drawn, hits):
    """From logarithms of factorials, each within 8 roundoffs, of 1 or of itself (Cephes, lgam).

    Nine of them make one ln of a probability, by eight sums; the tail is the ln of a sum of such, which
    exp, ln and the adding of up to ``terms`` numbers leave within 10 + terms roundoffs of itself or of 1.
    """
    exact = Near(hypergeometric_tail(population, marked, drawn, hits)).ln().exact
    largest = max(1.0, math.lgamma(population + 1))
    terms = min(marked, drawn) - hits + 1
    own = (9 * 8 + 9 * 8) * largest + (10 + terms) * (1 + abs(exact))
    return Near(exact, Fraction(own) * DOUBLE)


def make_world(seed, planted):
    """60 neurons over 400 images, some of which answer to one of 12 concepts."""
    rng = np.random.default_rng(seed)
    shows = [{f"c{rng.integers(12)}"} | ({"rare"} if n % 9 == 0 else set()) for n in range(400)]
    halves = [("screening", "testing")[n % 2] for n in range(400)]
    values = rng.normal(size=(60, 400))
    for unit in range(planted):
        values[unit] += 2.5 * np.array([f"c{unit % 12}" in s for s in shows])
    con = open_world(label_null_repeats=40)
    fill(con, values, shows, halves, duplicates=set(range(0, 400, 50)))
    return con


@pytest.mark.parametrize(("seed", "planted"), [(0, 0), (1, 9), (2, 40)])
def test_without_a_permutation_the_count_is_that_of_the_view(seed, planted):
    con = make_world(seed, planted)
    halves, circular = _read_run(con, "d", "r")
    order = tuple(np.arange(half.size) for half in halves)
    limits = SETTINGS["label_min_count"], SETTINGS["label_max_q"]
    ((labelled,),) = con.execute("select count(*) from neuron_labels where is_labelled").fetchall()
    assert count_labelled(*halves, order, circular, *limits) == labelled
    assert labelled >= 0.8 * planted


@pytest.mark.slow
def test_permuted_concepts_label_next_to_nothing():
    """Where all labels are false, any at all in about one of twenty permutations is what q allows."""
    con = make_world(3, 30)
    (table,) = compute_label_nulls(con, NoProgress())
    assert table["repeat"].to_pylist() == list(range(40))
    counts = table["labelled_count"].to_numpy()
    assert (counts > 0).mean() <= 0.2
    assert counts.mean() < 0.5
    assert table.equals(*compute_label_nulls(con, NoProgress()))
    insert(con, "raw_label_nulls", table.to_pylist())
    row = con.execute(
        "select permuted_repeat_count, permuted_any_frac, labelled_count >= 25 from label_baselines"
    ).fetchone()
    assert row == (40, (counts > 0).mean(), True)


def test_labels_of_what_a_text_tower_read_are_not_counted():
    con = make_world(4, 40)
    con.execute("update stg_layers set tower = 'text'")
    halves, circular = _read_run(con, "d", "r")
    order = tuple(np.arange(half.size) for half in halves)
    assert count_labelled(*halves, order, circular, 2, 0.05) == 0
    con.execute("update settings set label_null_repeats = 0")
    assert list(compute_label_nulls(con, NoProgress())) == []
