"""Moments of a neuron: SQL over the partials of shards equals exact arithmetic over all activations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from moments import Moments, merged, moments_of
from rounding import Near, near
from sql_world import SqlWorld, empty_world

from pipeline.extract.sketch import HISTOGRAM_BINS, MOMENTS, Partials, sketch
from pipeline.tables.schema import TABLES

KINDS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "rectified": lambda rng, n: np.maximum(rng.normal(-1, 1, n), 0),
    "far from zero": lambda rng, n: rng.normal(2.73, 0.051, n),
    "at the end of float16": lambda rng, n: rng.normal(60000, 40, n).clip(0, 65504),
    "one last bit": lambda rng, n: np.where(np.arange(n) == n // 2, 2.732, 2.73),
    "one image": lambda rng, n: np.where(np.arange(n) == n // 2, 7.0, 0.0),
    "constant": lambda rng, n: np.full(n, 0.1),
    "never positive": lambda rng, n: -np.abs(rng.normal(size=n)),
}


def open_partials(values: np.ndarray[Any, Any], shards: np.ndarray[Any, Any]) -> SqlWorld:
    """``neuron_stats`` over the sketches of shards, of one layer; values are ``[U, N]``."""
    views = ("stg_neuron_moments", "neuron_histograms", "neuron_stats")
    world = empty_world(views, threads=1)
    world.add("stg_runs", "run_id", "r")
    for shard in np.unique(shards):
        inside = np.ascontiguousarray(values[:, shards == shard])
        ids, again = torch.arange(inside.shape[1]), torch.zeros(inside.shape[1], dtype=torch.bool)
        place_shard(world, int(shard), sketch(torch.from_numpy(inside), ids, again, 5, False))
    return world


def place_shard(world: SqlWorld, shard: int, partials: Partials) -> None:
    moments = [(unit, *column) for unit, column in enumerate(partials.moments.T.tolist())]
    world.add("raw_shard_stats", f"unit {' '.join(MOMENTS)}", *moments, shard_ordinal=shard)
    units, bins = partials.histogram.numpy().nonzero()
    counts = partials.histogram.numpy()[units, bins]
    rows = zip(units.tolist(), (bins - HISTOGRAM_BINS).tolist(), counts.tolist(), strict=True)
    world.add("raw_shard_histograms", "unit bin example_count", *rows, shard_ordinal=shard)


def sparsity(moments: Moments) -> Near | None:
    """Vinje & Gallant 2000."""
    count = moments.count
    if not moments.positive.exact or count < 2:
        return None
    response = moments.positive / count
    share = response.power(2) / (moments.positive_squares / count)
    return (1 - share).at_least(0) / (1 - near(1) / count)


def shape(moments: Moments) -> tuple[Near, Near]:
    """Skewness and excess kurtosis."""
    variance, third, fourth = (sum_ / moments.count for sum_ in moments.central.values())
    return third / variance.power(1.5), fourth / variance.power(2) - 3


@settings(max_examples=25, deadline=None)
@example(seed=0, count=2, shard_count=2, dtype=np.float16)
@given(
    seed=st.integers(0, 1 << 32),
    count=st.integers(2, 400),
    shard_count=st.integers(1, 5),
    dtype=st.sampled_from([np.float16, np.float32]),
)
@pytest.mark.slow
def test_moments_equal_exact_arithmetic_however_the_shards_are_cut(seed, count, shard_count, dtype):
    rng = np.random.default_rng(seed)
    values = np.stack([make(rng, count) for make in KINDS.values()]).astype(dtype)
    shards = rng.integers(0, shard_count, count)
    world = open_partials(values, shards)
    rows = world.rows(
        "select mean, sd, skewness, kurtosis, sparsity from neuron_stats order by unit"
    )
    for row, (mean, sd, skewness, kurtosis, sparse) in zip(values, rows, strict=True):
        whole = moments_of(row)
        exact = merged([moments_of(row[shards == shard]) for shard in np.unique(shards)])
        assert [each.exact for each in exact.central.values()] == [
            each.exact for each in whole.central.values()
        ]
        assert mean == exact.mean
        assert sparse == sparsity(exact)
        if (row == row[0]).all():
            assert (sd, skewness, kurtosis) == (0, None, None)
        else:
            assert sd == (exact.central[2] / count).sqrt()
            assert (skewness, kurtosis) == shape(exact)


@pytest.mark.parametrize("kind", ["normal", "rectified", "one image"])
def test_what_exact_arithmetic_gives_is_what_scipy_calls_so(kind):
    row = KINDS[kind](np.random.default_rng(0), 300).astype(np.float32)
    told = [float(figure.exact) for figure in shape(moments_of(row))]
    wide = row.astype(np.float64)
    assert told == pytest.approx([scipy.stats.skew(wide), scipy.stats.kurtosis(wide)])


def test_selective_neurons_stand_out():
    """By each of the three, the neuron that answers to one image comes first."""
    rng = np.random.default_rng(0)
    values = np.stack([make(rng, 400) for make in KINDS.values()]).astype(np.float16)
    world = open_partials(values, rng.integers(0, 3, 400))
    rows = world.rows("select skewness, kurtosis, sparsity from neuron_stats order by unit")
    told = dict(zip(KINDS, rows, strict=True))
    figures = told["one image"]
    assert figures[2] == pytest.approx(1)
    assert figures[0] == pytest.approx(398 / 399**0.5)
    for place in ("far from zero", "at the end of float16"):
        assert told[place][2] < 0.001


def test_a_shard_that_knows_no_central_moments_leaves_the_neuron_without():
    """As a run that was begun by an earlier version and is finished by this one."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 90)).astype(np.float16)
    world = open_partials(values, np.arange(90) % 3)
    ((before,),) = world.rows("select list(sd order by unit) from neuron_stats")
    later = [column.name for column in TABLES["shard_stats"].columns if column.since == 2]
    assert later == list(MOMENTS[8:])
    unknown = ", ".join(f"{name} = null" for name in later)
    harm = f"update raw_shard_stats set {unknown} where unit = 0 and shard_ordinal = 1"
    world.con.execute(harm)
    query = "select sd, skewness, kurtosis, sparsity from neuron_stats order by unit"
    first, second = world.rows(query)
    assert first[1:] == (None, None, None)
    assert first[0] == pytest.approx(before[0], rel=1e-9)
    assert None not in second
