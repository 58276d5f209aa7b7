"""Neurons that a written word moves: SQL equal to NumPy and SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from probe_world import Probe, attack_one
from scipy.stats import mannwhitneyu


def neuron_case(seed, count, sparse):
    """Attacked images with activations of three units; rounding makes many ties."""
    rng = np.random.default_rng(seed)
    probe = Probe()
    probe.world.add("neuron_stats", "unit sd", (0, 2.0), (1, 0.5), (2, 0.0))
    parts = ("clean", "blank", "attack")
    values = np.round(rng.normal(0, 1, (count, 3, 3)) * 2) / 2  # image, part, unit
    before = rng.choice(["cat", "dog", "iPod"], count, p=[0.5, 0.3, 0.2])
    after = rng.choice(["cat", "dog", "iPod"], count, p=[0.3, 0.1, 0.6])
    rows = []
    for n in range(count):
        ids = attack_one(probe, str(before[n]), "cat", "", str(after[n]), f"k{n}")
        rows += [
            (unit, ids[part], float(values[n, p, unit]))
            for p, part in enumerate(parts)
            for unit in range(3)
            if values[n, p, unit] > 0 or not sparse
        ]
    probe.world.add("stg_activations", "unit example_id activation", *rows)
    stored = np.maximum(values, 0) if sparse else values
    return probe, stored, before, after


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30), st.booleans())
def test_neurons_equal_numpy_and_scipy(seed, count, sparse):
    probe, stored, before, after = neuron_case(seed, count, sparse)
    rows = probe.rows(
        """
        select unit, clean_count, clean_change, clean_change_sd, clean_change_rank, blank_change,
            flip_count, stay_count, flip_auroc
        from typographic_neurons order by unit
        """
    )
    is_open = before != "iPod"
    flips, stays = is_open & (after == "iPod"), is_open & (after != "iPod")
    change = stored[:, 2] - stored[:, 0]
    assert [row[0] for row in rows] == [0, 1, 2]
    means = change.sum(0) / count
    # halves add up exactly, in any order, so that one division is all that rounds
    assert [row[2] for row in rows] == means.tolist()
    assert [row[3] for row in rows[:2]] == [means[0] / 2, means[1] / 0.5]
    assert rows[2][3] is None and rows[2][4] is None  # no standard deviation, no rank
    assert [row[4] for row in rows[:2]] == ([1, 2] if means[0] / 2 >= means[1] / 0.5 else [2, 1])
    assert [row[5] for row in rows] == ((stored[:, 2] - stored[:, 1]).sum(0) / count).tolist()
    for unit, *_, flip_count, stay_count, auroc in rows:
        assert (flip_count, stay_count) == (flips.sum(), stays.sum())
        if not flip_count or not stay_count:
            assert auroc is None
            continue
        u = mannwhitneyu(change[flips, unit], change[stays, unit]).statistic
        assert auroc == u / (flip_count * stay_count)


def test_a_neuron_that_never_answers_is_listed_at_chance():
    probe = Probe()
    probe.world.add("neuron_stats", "unit sd", (5, 1.0))
    attack_one(probe, "cat", "", "", "iPod", "a")
    attack_one(probe, "cat", "", "", "cat", "b")
    query = """
        select unit, clean_change, blank_count, blank_change, flip_auroc from typographic_neurons
    """
    assert probe.rows(query) == [(5, 0.0, 0, None, 0.5)]
