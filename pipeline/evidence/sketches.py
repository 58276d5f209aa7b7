"""The samples of all shards of a run as one: the view ``stg_samples``, with NumPy.

The view says what they are. Here rows are sorted twice and counted along the order: measured, a tenth of what
grouping and joining them costs.

Cohen & Kaplan 2007, doi:10.1145/1281100.1281133 (bottom-k sketches).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.extract.reservoir import BIN_COUNT, OCTAVES

SAMPLES_PER_STRATUM = 120
"""As in ``stg_samples``."""

PRIORITY_BITS = 32
NO_THRESHOLD = 1 << PRIORITY_BITS
"""Above every priority."""

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Columns = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Sketch:
    """Samples of some units: strata ``[S]``, by unit, bin and ``is_lowest``, and their rows ``[R]``."""

    unit: Ints
    """``[S]``."""
    bin: Ints
    """``[S]``: sign and octave."""
    is_lowest: Bools
    """``[S]``: reaches down to zero."""
    threshold: Ints
    """``[S]``: below it the stratum lacks none; `NO_THRESHOLD` if it is whole."""
    rows: Ints
    """``[R]``: which of the rows that were given."""


def merge_shards(rows: Columns, priority: Ints) -> Sketch:
    """Put samples of shards together, and of earlier merges.

    Args:
        rows: ``unit``, ``shard`` (a number of the file), ``bin``, ``bin_example_count``, ``is_lowest`` (1, 0;
            -1: a shard wrote it, which does not say): whole numbers, ``[N]`` each.
        priority: ``[N]``, of the examples, below 2^32.
    """
    unit, bins, lowest = (rows[name].astype(np.int64) for name in ("unit", "bin", "is_lowest"))
    shard = rows["shard"].astype(np.int64)
    shards = int(shard.max(initial=0)) + 1
    keys = ((unit * shards + shard) * BIN_COUNT + bins + OCTAVES) * 2 + (lowest > 0)
    order = np.argsort(keys, kind="stable")  # files are in this order but for the shard
    starts = group_starts(keys[order])
    sizes = np.diff(starts, append=len(order))
    first = order[starts]
    unit, shard, bins, lowest = (values[first] for values in (unit, shard, bins, lowest))
    is_lowest = np.where(lowest < 0, _are_lowest(unit * shards + shard, bins), lowest > 0)
    ordered = priority[order]
    # A shard left out nothing below the largest priority it kept, if anything at all.
    cuts = np.full(len(starts), NO_THRESHOLD)
    images = rows["bin_example_count"][first]
    if len(starts):
        cuts = np.where(sizes < images, np.maximum.reduceat(ordered, starts), NO_THRESHOLD)
    codes, stratum = np.unique(
        (unit * BIN_COUNT + bins + OCTAVES) * 2 + is_lowest, return_inverse=True
    )
    least = np.full(len(codes), NO_THRESHOLD)
    np.minimum.at(least, stratum, cuts)
    stratum_of = np.repeat(stratum, sizes)
    keep = ordered <= least[stratum_of]
    stratum_of, ordered, order = stratum_of[keep], ordered[keep], order[keep]
    whole_count = np.bincount(stratum, images, len(codes)).astype(np.int64)
    return _keep_least(codes, whole_count, stratum_of, ordered, order)


def _keep_least(
    codes: Ints, image_count: Ints, stratum: Ints, priority: Ints, rows: Ints
) -> Sketch:
    """The smallest priorities of each stratum, and all that are as small as the last of them."""
    order = np.argsort(stratum << PRIORITY_BITS | priority)
    stratum, priority, rows = stratum[order], priority[order], rows[order]
    counts = np.bincount(stratum, minlength=len(codes))
    ends = np.cumsum(counts)
    last = np.full(len(codes), NO_THRESHOLD)
    is_full = counts >= SAMPLES_PER_STRATUM
    last[is_full] = priority[(ends - counts)[is_full] + SAMPLES_PER_STRATUM - 1]
    keep = priority <= last[stratum]
    stratum, priority, rows = stratum[keep], priority[keep], rows[keep]
    counts = np.bincount(stratum, minlength=len(codes))
    largest = priority[np.cumsum(counts) - 1]  # each has one at least
    return Sketch(
        codes // 2 // BIN_COUNT,
        codes // 2 % BIN_COUNT - OCTAVES,
        codes % 2 == 1,
        np.where(counts < image_count, largest, NO_THRESHOLD),
        rows,
    )


def _are_lowest(place: Ints, bins: Ints) -> Bools:
    """Whether a bin is the nearest to zero of its side and place; both ascending, ``[G]``."""
    side = np.sign(bins)
    is_new = np.ones(len(bins) + 1, bool)
    is_new[1:-1] = (place[1:] != place[:-1]) | (side[1:] != side[:-1])
    lowest: Bools = np.where(side < 0, is_new[1:], is_new[:-1])
    return lowest


def group_starts(*keys: np.ndarray[Any, Any]) -> Ints:
    """Where in sorted rows another group begins."""
    if not len(keys[0]):
        return np.zeros(0, np.int64)
    is_new = np.ones(len(keys[0]), bool)
    is_new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return np.flatnonzero(is_new)
