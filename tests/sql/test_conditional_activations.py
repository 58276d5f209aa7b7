"""P(activation | category) is Bayes' rule on P(category | activation) and the sizes of bins."""

from __future__ import annotations

import numpy as np
import pytest
from sql_world import SqlWorld, empty_world

VIEWS = ("conditional_activations",)
BINS = {-1: (2, 0.5), 0: (30, 1.0), 3: (4, 0.25)}
"""Sampled images of each bin, and their share of it: 4, 30 and 16 images."""


@pytest.fixture
def world() -> SqlWorld:
    found = empty_world(VIEWS)
    drawn = [
        (100 * bin_ + n, bin_, frac) for bin_, (count, frac) in BINS.items() for n in range(count)
    ]
    found.add("drawn_examples", "example_id sd_bin sampled_frac", *drawn, unit=0)
    return found


def judge(world: SqlWorld, category: str, **hits: tuple[int, int]) -> None:
    """Rows of P(category | activation), by bin: hits of how many."""
    rows = [
        (category, bin_, n, count, count / n)
        for (bin_, (n, count)) in zip((-1, 0, 3), hits.values(), strict=False)
    ]
    names = "category sd_bin sample_count hit_count probability"
    world.add("conditional_probabilities", names, *rows, unit=0, origin="stimulus")


def test_a_category_lies_where_its_share_times_the_bins_size_is(world):
    judge(world, "region", a=(2, 1), b=(10, 1), c=(4, 4))
    got = world.rows(
        "select image_count, category_count, activation_frac, overall_frac "
        "from conditional_activations order by sd_bin"
    )
    sizes, shares = np.array([4, 30, 16]), np.array([0.5, 0.1, 1.0])
    counts = sizes * shares
    expected = np.stack([sizes, counts, counts / counts.sum(), sizes / sizes.sum()], axis=1)
    assert np.allclose(got, expected)


def test_a_category_that_no_judged_image_shows_has_no_distribution(world):
    judge(world, "animal", a=(2, 0), b=(10, 0), c=(4, 0))
    got = world.rows("select activation_frac, hit_count from conditional_activations")
    assert got == [(None, 0)] * 3


def test_labels_of_a_run_without_samples_keep_their_probabilities(world):
    world.con.execute("delete from drawn_examples")
    judge(world, "region", a=(2, 1), b=(10, 1), c=(4, 4))
    got = world.rows(
        "select sample_count, image_count, activation_frac from conditional_activations order by sd_bin"
    )
    assert got == [(2, None, None), (10, None, None), (4, None, None)]


def test_every_distribution_sums_to_one(world):
    judge(world, "region", a=(2, 1), b=(10, 3), c=(4, 1))
    judge(world, "animal", a=(2, 1), b=(10, 0), c=(4, 2))
    got = world.rows(
        "select sum(activation_frac), sum(overall_frac) from conditional_activations group by category"
    )
    assert got == [(pytest.approx(1), pytest.approx(1))] * 2
