from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from moments import merged, moments_of

from pipeline.extract.reservoir import SAMPLES_PER_BIN, Samples, priorities
from pipeline.extract.sketch import (
    HISTOGRAM_BINS,
    Partials,
    bin_edges,
    count_bins,
    merge,
    order_halves,
    sketch,
)

Array = np.ndarray[Any, Any]
SPECIAL = [0.0, -0.0, 6e-8, -6e-8, 3e-5, 1.0, -1.0, 1.25, 0.5, 65504.0, -65504.0, 1.5, -2.0, 0.1]
ONLY_FLOAT32 = [1e-30, -1e-30, 1e-42, 65520.0, 65536.0, -65536.0, 7e4, 3e38, -3e38, 1.2499999]
KINDS = ["normal", "special", "tied", "constant", "negative", "zero", "any"]


def draw_values(rng: np.random.Generator, kind: str, shape: tuple[int, int], dtype: Any) -> Array:
    special = SPECIAL + (ONLY_FLOAT32 if dtype == np.float32 else [])
    values = {
        "normal": lambda: rng.normal(size=shape),
        "special": lambda: rng.choice(special, shape),
        "tied": lambda: rng.integers(-2, 3, shape).astype(float),
        "constant": lambda: np.full(shape, rng.choice(special)),
        "negative": lambda: -np.abs(rng.normal(size=shape)),
        "zero": lambda: rng.choice([0.0, -0.0], shape),
        "any": lambda: rng.normal(size=shape) * 10.0 ** rng.integers(-8, 4, shape),
    }[kind]()
    return values.astype(dtype)


def reference_top(values: Array, ids: Array, k: int, only_signed: bool, sign: int) -> list[Any]:
    """(unit, example_id, activation) of the k most extreme of each unit, by a full sort."""
    rows = []
    for unit, row in enumerate(values):
        order = np.lexsort((ids, -sign * row.astype(np.float64)))
        best = [i for i in order if not only_signed or sign * row[i] > 0][:k]
        rows += [(unit, int(ids[i]), float(row[i])) for i in best]
    return rows


def reference_histogram(values: Array) -> Array:
    left = np.array([bin_edges(b)[0] for b in range(1, HISTOGRAM_BINS + 1)])
    wide = values.astype(np.float64)
    bins = np.searchsorted(left, np.abs(wide), side="right") * np.sign(wide).astype(int)
    counts = np.zeros((len(values), 2 * HISTOGRAM_BINS + 1), np.int64)
    for unit, row in enumerate(bins):
        np.add.at(counts[unit], row + HISTOGRAM_BINS, 1)
    return counts


def histogram(values: Array) -> Array:
    return count_bins(order_halves(torch.from_numpy(values))).numpy()


def place_peaks(unit: Array, example_id: Array) -> Array:
    """Peaks of some activations, each told by whose it is."""
    return (unit * 31 + example_id * 7) % 251


def rows_of(top: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]) -> list[Any]:
    unit, example_id, activation, peak = (column.tolist() for column in top)
    assert peak == place_peaks(top[0].numpy(), top[1].numpy()).tolist()
    return list(zip(unit, example_id, activation, strict=True))


def octaves_of(values: Array) -> Array:
    """Bins of a sample before low ones are joined, by comparing with every edge."""
    edges = 2.0 ** np.arange(-14, 17)
    wide = values.astype(np.float64)
    return np.sign(wide).astype(int) * (1 + np.searchsorted(edges, np.abs(wide), side="right"))


def assert_samples(samples: Samples, values: Array, ids: Array, all_values: Array) -> None:
    """Equal to a full sort by priority of every bin of every neuron; values may be drawn."""
    places = place_peaks(samples.unit.numpy(), samples.example_id.numpy())
    assert samples.peak.tolist() == places.tolist()
    rows = []
    sd = all_values.astype(np.float64).std(1) if all_values.shape[1] else np.zeros(len(values))
    for unit, row in enumerate(values):
        bins = octaves_of(row)
        low = int(octaves_of(np.array([sd[unit] / 2 * (1 + 1e-9)]))[0]) - 1
        bins = np.sign(bins) * np.maximum(np.abs(bins), low)
        for bin_ in np.unique(bins):
            inside = np.flatnonzero(bins == bin_)
            order = np.lexsort((ids[inside], priorities(torch.from_numpy(ids[inside])).numpy()))
            rows += [
                (unit, int(bin_), int(ids[i]), float(row[i]), len(inside))
                for i in inside[order][:SAMPLES_PER_BIN]
            ]
    counts = samples.counts[samples.unit, samples.bin + 32]
    columns = (samples.unit, samples.bin, samples.example_id, samples.activation, counts)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == rows
    assert (samples.counts.sum(1) == values.shape[1]).all()


def assert_partials(
    partials: Partials,
    values: Array,
    ids: Array,
    twice: Array,
    k: int,
    only_signed: bool,
    owner: Array | None = None,
) -> None:
    """Owner: int ``[N]``, the part that each example was in, if these are merged partials of parts."""
    wide = values.astype(np.float64)
    moments = partials.moments.numpy()
    assert (moments[0] == values.shape[1]).all()
    assert (moments[1] == twice.sum()).all()
    assert (moments[2] == (wide == 0).sum(1)).all()
    assert (moments[3] == (wide > 0).sum(1)).all()
    for unit, row in enumerate(values):
        exact = moments_of(row)
        if owner is not None:
            exact = merged([moments_of(row[owner == part]) for part in np.unique(owner)])
        assert moments[[4, 5, 8, 9, 10, 11, 12], unit].tolist() == exact.sums()
    if values.shape[1]:
        assert (moments[6] == wide.min(1)).all()
        assert (moments[7] == wide.max(1)).all()
    assert (partials.histogram.numpy() == reference_histogram(values)).all()
    first = ~twice
    for polarity, sign in (("positive", 1), ("negative", -1)):
        expected = reference_top(values[:, first], ids[first], k, only_signed, sign)
        assert rows_of(partials.top[polarity]) == expected
    assert_samples(partials.samples, values[:, first], ids[first], values)


def sketch_numpy(
    values: Array, ids: Array, twice: Array, k: int, only_signed: bool, is_whole: bool = True
) -> Partials:
    arrays = (torch.tensor(array) for array in (values, ids, twice))
    peaks = place_peaks(np.arange(len(values))[:, None], ids).astype(np.uint8)
    return sketch(*arrays, k, only_signed, is_whole, torch.from_numpy(peaks))


def draw_ids(rng: np.random.Generator, count: int) -> Array:
    return np.sort(rng.choice(1 << 40, count, replace=False)).astype(np.int64)


@settings(max_examples=150)
@given(
    seed=st.integers(0, 1 << 32),
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from([np.float16, np.float32]),
    units=st.integers(1, 4),
    count=st.integers(0, 50),
    k=st.integers(1, 60),
    only_signed=st.booleans(),
    twice_frac=st.sampled_from([0.0, 0.3, 1.0]),
    cuts=st.integers(0, 4),
)
@pytest.mark.slow
def test_partials_equal_numpy_and_any_split_merges_to_the_whole(
    seed: int,
    kind: str,
    dtype: Any,
    units: int,
    count: int,
    k: int,
    only_signed: bool,
    twice_frac: float,
    cuts: int,
) -> None:
    rng = np.random.default_rng(seed)
    values, ids = draw_values(rng, kind, (units, count), dtype), draw_ids(rng, count)
    twice = rng.random(count) < twice_frac
    whole = sketch_numpy(values, ids, twice, k, only_signed)
    assert_partials(whole, values, ids, twice, k, only_signed)

    owner = rng.integers(0, cuts + 1, count)  # any disjoint sets of examples, some of them empty
    parts = [
        sketch_numpy(
            values[:, owner == n], ids[owner == n], twice[owner == n], k, only_signed, False
        )
        for n in rng.permutation(cuts + 1)
    ]
    union = merge(parts, k)
    assert_partials(union, values, ids, twice, k, only_signed, owner)
    assert torch.equal(union.histogram, whole.histogram)
    for row in (0, 1, 2, 3, 6, 7):
        assert torch.equal(union.moments[row], whole.moments[row])


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("kind", [*KINDS, "rising", "falling", "tied_at_bound"])
def test_many_examples_and_many_units(kind: str, dtype: Any) -> None:
    """Enough examples for the shortcut over chunks, and more units than one block holds."""
    rng = np.random.default_rng(0)
    shape, k = (70, 1213), 7
    if kind in ("rising", "falling"):
        line = np.linspace(-3, 3, shape[1]) * (1 if kind == "rising" else -1)
        values = np.tile(line, (shape[0], 1)).astype(dtype)
    elif kind == "tied_at_bound":  # a few strong ones, then many equal ones in many chunks
        values = np.where(rng.random(shape) < 0.3, 1.0, -1.0).astype(dtype)
        values[:, rng.choice(shape[1], 5, replace=False)] = 9
    else:
        values = draw_values(rng, kind, shape, dtype)
    twice = rng.random(shape[1]) < 0.05
    ids = draw_ids(rng, shape[1])
    for only_signed in (False, True):
        partials = sketch_numpy(values, ids, twice, k, only_signed)
        assert_partials(partials, values, ids, twice, k, only_signed)


def test_more_columns_than_16_bits_count() -> None:
    rng = np.random.default_rng(0)
    values, ids = draw_values(rng, "tied", (2, 70_000), np.float16), draw_ids(rng, 70_000)
    values[:, 69_990:] = 3
    twice = rng.random(70_000) < 0.05
    assert_partials(sketch_numpy(values, ids, twice, 30, True), values, ids, twice, 30, True)


def test_edges_cover_the_line_without_gaps() -> None:
    assert bin_edges(0) == (0.0, 0.0)
    assert bin_edges(1)[0] == 0.0 and bin_edges(HISTOGRAM_BINS) == (65536.0, float("inf"))
    for bin_ in range(1, HISTOGRAM_BINS + 1):
        left, right = bin_edges(bin_)
        assert left < right
        assert bin_edges(-bin_) == (-right, -left)
        if bin_ < HISTOGRAM_BINS:
            assert bin_edges(bin_ + 1)[0] == right


def test_every_float16_is_in_its_bin() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every)][None]
    expected = reference_histogram(every)
    assert (histogram(every) == expected).all()
    assert (histogram(every.astype(np.float32)) == expected).all()


def test_float32_just_beside_every_edge() -> None:
    edges = np.array([bin_edges(b)[0] for b in range(1, HISTOGRAM_BINS + 1)], np.float32)
    near = np.concatenate([edges, np.nextafter(edges, np.float32(np.inf)), -edges, [1e38, -1e38]])
    near = np.concatenate([near, np.nextafter(edges, np.float32(0))]).astype(np.float32)[None]
    assert (histogram(near) == reference_histogram(near)).all()
