"""A sample of examples for every neuron and octave of its activation, kept in the same pass.

Every example has a *priority*, a seeded hash of its id. Of each (neuron, bin) a shard keeps the
``SAMPLES_PER_BIN`` examples with the smallest priorities: a bottom-k sketch (Cohen & Kaplan 2007,
doi:10.1145/1281100.1281133). It does not depend on order, batches or workers, and what lies below the
smallest of the bins' thresholds is a uniform sample of any union of them (``sql/samples/neuron_samples.sql``).
The same examples have small priorities for every neuron, so that few images serve many neurons.

Bins are octaves, sign and exponent of a float16, because a neuron's standard deviation is known only
at the end. Octaves below half the shard's standard deviation are one bin on each side: its threshold is
as good as theirs, and it saves half of the rows. So the lowest bin of a side reaches down to zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

SAMPLES_PER_BIN = 12
"""Examples that a shard keeps of each neuron and bin."""

OCTAVES = 32
"""Bins on each side of zero: exponents of a float16. The first ends at 2^-14; the last begins at 2^16."""

BIN_COUNT = 2 * OCTAVES + 1

_BIN_OF_KEY = np.r_[OCTAVES + 1 : BIN_COUNT, np.arange(OCTAVES)[::-1], OCTAVES]
_KEY_OF_BIN = np.argsort(_BIN_OF_KEY)

Array = np.ndarray[Any, np.dtype[Any]]


def priorities(example_ids: Array) -> Array:
    """uint32 ``[N]``: MurmurHash3's 32-bit finaliser of each example_id (int64, not negative).

    The macro ``sample_priority`` in ``sql/macros/samples.sql`` is the same function.
    """
    ids = example_ids.astype(np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    value = (ids & mask) + (ids >> np.uint64(32)) * np.uint64(2654435761) + np.uint64(2654435769)
    value &= mask
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        value ^= value >> np.uint64(shift)
        value = (value * np.uint64(factor)) & mask
    value ^= value >> np.uint64(16)
    return value.astype(np.uint32)


@dataclass
class Samples:
    """The sketch of some examples of one layer.

    Arrays of equal length, ordered by (unit, bin, priority, example_id): whole numbers ``unit``,
    ``bin`` in -32..32 (0 is exactly zero, otherwise the sign of the activation) and ``example_id``;
    ``activation`` as stored. ``counts`` is int64 ``[U, 65]``: examples in each bin, column ``bin + 32``.
    ``is_whole`` says that they are all of the shard, so that its low octaves are one bin already.
    """

    unit: Array
    bin: Array
    example_id: Array
    activation: Array
    counts: Array
    is_whole: bool = True


def choose_floors(moments: Array) -> Array:
    """uint8 ``[U]``: the octave of half a standard deviation; those below it become one bin.

    Args:
        moments: Float64 ``[13, U]`` of `Partials`.
    """
    count = np.maximum(moments[0], 1)
    variance = moments[5] / count - (moments[4] / count) ** 2
    # The last bits of the sums depend on the order: exact powers of two must not.
    half_sd = np.sqrt(np.maximum(variance, 0)) / 2 * (1 + 1e-9)
    exponents = np.frexp(half_sd)[1] + 14
    return np.where(half_sd > 0, exponents.clip(0, OCTAVES - 1), 0).astype(np.uint8)


def count_octaves(histogram: Array) -> Array:
    """int64 ``[U, 65]``: octaves of the quarter octaves of `sketch.histogram`."""
    side = histogram.shape[1] // 2
    padded = np.zeros((len(histogram), 2, 4 * OCTAVES), np.int64)
    padded[:, 0, :side] = histogram[:, :side][:, ::-1]
    padded[:, 1, :side] = histogram[:, side + 1 :]
    octaves = padded.reshape(len(histogram), 2, OCTAVES, 4).sum(3)
    zero = histogram[:, side : side + 1]
    return np.concatenate([octaves[:, 0, ::-1], zero, octaves[:, 1]], axis=1)


def order_by_priority(example_ids: Array, is_duplicate: Array) -> Array:
    """int64, the columns that may be drawn, repeated images left out, in order of priority."""
    columns = np.flatnonzero(~is_duplicate)
    return columns[np.argsort(priorities(example_ids[columns]), kind="stable")]


def draw_samples(
    values: torch.Tensor, top_bytes: torch.Tensor, order: Array, counts: Array, floors: Array
) -> tuple[Array, Array, Array, Array]:
    """Rows, bins and columns of the sketch of a block of activations, and its counts.

    Args:
        values: ``[U, N]``, float16 or float32, finite.
        top_bytes: uint8 ``[U, N]``, sign, exponent and two bits of the mantissa of each as float16.
        order: int64 ``[M]``, the columns that may be drawn, in ascending order of priority.
        counts: int64 ``[U, 65]``, how many of these are in each octave.
        floors: uint8 ``[U]``; octaves below it are one bin, and 0 keeps all apart.
    """
    least = np.maximum(floors, 1) - 1
    codes = top_bytes.numpy() >> 2  # 32 for the sign, and the octave
    keys = np.maximum(codes & (OCTAVES - 1), least[:, None])
    keys |= codes & OCTAVES
    if counts[:, OCTAVES].any():
        keys[(values == 0).numpy()] = 2 * OCTAVES
    # A radix sort, because the keys are single bytes; it is stable, so priorities stay in order.
    ranked = np.argsort(np.take(keys, order, axis=1), axis=1, kind="stable")
    counts = _lift(counts, least.astype(np.int64))
    by_key = counts[:, _BIN_OF_KEY]
    starts = (np.cumsum(by_key, axis=1) - by_key)[:, _KEY_OF_BIN]
    units, bins = np.nonzero(counts)
    kept = np.minimum(counts[units, bins], SAMPLES_PER_BIN)
    within = np.arange(kept.sum()) - np.repeat(np.cumsum(kept) - kept, kept)
    rows = np.repeat(units, kept)
    columns = order[ranked[rows, np.repeat(starts[units, bins], kept) + within]]
    return rows, np.repeat(bins - OCTAVES, kept), columns, counts


def merge_samples(parts: list[Samples], floors: Array) -> Samples:
    """The sketch of the union of disjoint sets of examples, with the floors (uint8 ``[U]``) of it."""
    least = np.maximum(floors, 1).astype(np.int64) - 1
    unit, bins, ids, values = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("unit", "bin", "example_id", "activation")
    )
    lifted = np.sign(bins) * np.maximum(np.abs(bins), least[unit] + 1)
    order = np.lexsort((ids, priorities(ids), lifted, unit))
    unit, bins, ids, values = unit[order], lifted[order], ids[order], values[order]
    keys = unit.astype(np.int64) * BIN_COUNT + bins
    starts = np.searchsorted(keys, keys)
    keep = np.arange(len(keys)) - starts < SAMPLES_PER_BIN
    counts = _lift(np.sum([part.counts for part in parts], axis=0), least)
    return Samples(unit[keep], bins[keep].astype(np.int16), ids[keep], values[keep], counts)


def _lift(counts: Array, least: Array) -> Array:
    """Counts with what is in the octaves below ``least`` (``[U]``) added to it, on both sides."""
    bins = np.arange(BIN_COUNT) - OCTAVES
    result = counts.copy()
    for sign in (-1, 1):
        is_low = (bins * sign > 0) & (bins * sign <= least[:, None])
        result[is_low] = 0
        result[np.arange(len(counts)), OCTAVES + sign * (1 + least)] += (counts * is_low).sum(1)
    return result
