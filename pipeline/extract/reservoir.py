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

import torch

from pipeline.extract.primitives import find_true, sort_rows, take_first

SAMPLES_PER_BIN = 12
"""Examples that a shard keeps of each neuron and bin."""

OCTAVES = 32
"""Bins on each side of zero: exponents of a float16. The first ends at 2^-14; the last begins at 2^16."""

BIN_COUNT = 2 * OCTAVES + 1

_MANTISSA_BITS = 10
_RANK_BITS = 24  # a shard has at most 2^20 examples; seven bits are left for the bin


def priorities(example_ids: torch.Tensor) -> torch.Tensor:
    """int64 ``[N]`` in 0..2^32 - 1: MurmurHash3's 32-bit finaliser of each id (int64, not negative).

    The macro ``sample_priority`` in ``sql/macros/samples.sql`` is the same function.
    """
    mask = 0xFFFFFFFF  # products wrap around at 2^64, and what is kept of them is right
    value = (example_ids & mask) + (example_ids >> 32) * 2654435761 + 2654435769
    value &= mask
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        value ^= value >> shift
        value = (value * factor) & mask
    value ^= value >> 16
    return value


@dataclass
class Samples:
    """The sketch of some examples of one layer.

    Tensors of equal length, ordered by (unit, bin, priority, example_id): int64 ``unit``, ``bin`` in
    -32..32 (0 is exactly zero, otherwise the sign of the activation) and ``example_id``; ``activation``
    as stored; int32 ``peak``, -1 where it is not known. ``counts`` is int64 ``[U, 65]``: examples in each bin,
    column ``bin + 32``. ``is_whole`` says that they are all of the shard, so that its low octaves are one bin
    already.
    """

    unit: torch.Tensor
    bin: torch.Tensor
    example_id: torch.Tensor
    activation: torch.Tensor
    peak: torch.Tensor
    counts: torch.Tensor
    is_whole: bool = True


def choose_floors(moments: torch.Tensor) -> torch.Tensor:
    """int64 ``[U]``: the octave of half a standard deviation; those below it become one bin.

    Args:
        moments: Float64 ``[13, U]`` of `Partials`.
    """
    count = moments[0].clamp(min=1)
    # The last bits of the sums depend on the order: exact powers of two must not.
    half_sd = (moments[8] / count).sqrt() / 2 * (1 + 1e-9)
    exponents = torch.frexp(half_sd).exponent.long() + 14
    return exponents.clamp(0, OCTAVES - 1) * (half_sd > 0)


def order_by_priority(example_ids: torch.Tensor, is_duplicate: torch.Tensor) -> torch.Tensor:
    """int64, the columns that may be drawn, repeated images left out, in order of priority."""
    columns = (~is_duplicate).nonzero().flatten()
    return columns[torch.argsort(priorities(example_ids[columns]), stable=True)]


def draw_samples(
    order: torch.Tensor, by_priority: torch.Tensor, floors: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rows, bins and columns of the sketch of a block of activations, and its counts.

    Args:
        order: int16 ``[U, N]`` of `ranking.order_values`, of the activations as float16.
        by_priority: int64 ``[M]``, the columns that may be drawn, in ascending order of priority.
        floors: int64 ``[U]``; octaves below it are one bin, and 0 keeps all apart.
    """
    rows, columns = order.shape
    # All ones for what may not be drawn: it comes after every bin.
    never = torch.iinfo(torch.int32).max
    ranks = torch.full((columns,), never, dtype=torch.int32, device=order.device)
    ranks[by_priority] = torch.arange(len(by_priority), dtype=torch.int32, device=order.device)
    least = ((floors.clamp(min=1) - 1) << _MANTISSA_BITS).to(order.dtype)
    lifted = torch.maximum(order.abs(), least[:, None]).mul_(order.sign())  # zero stays zero
    keys = bins_of(lifted, _MANTISSA_BITS).add_(OCTAVES).int().bitwise_left_shift_(_RANK_BITS)
    keys = sort_rows(keys.bitwise_or_(ranks))
    edges = torch.arange(BIN_COUNT + 1, dtype=torch.int32, device=order.device) << _RANK_BITS
    ends = torch.searchsorted(keys, edges.expand(rows, -1).contiguous())
    counts = ends.diff(dim=1)
    filled = find_true(counts > 0)
    row = filled // BIN_COUNT
    starts = row * columns + ends[:, :-1].flatten().index_select(0, filled)
    kept = counts.flatten().index_select(0, filled).clamp_(max=SAMPLES_PER_BIN)
    groups, places = take_first(starts, kept)
    taken = keys.flatten().index_select(0, places) & ((1 << _RANK_BITS) - 1)
    return (
        row.index_select(0, groups),
        (filled - row * BIN_COUNT - OCTAVES).index_select(0, groups),
        by_priority.index_select(0, taken),
        counts,
    )


def bins_of(order: torch.Tensor, bits: int) -> torch.Tensor:
    """Bins of whole numbers in the order of floats: 0 for zero, then 1 and on for each ``2^bits``.

    The same below zero; a bin is closed toward zero. ``order`` is int16 and spares its least value.
    """
    is_negative, is_positive = order >> 15, order.neg() >> 15  # -1 or 0
    return ((order + is_negative) >> bits) - is_positive


def merge_samples(parts: list[Samples], floors: torch.Tensor) -> Samples:
    """The sketch of the union of disjoint sets of examples, with the floors (int64 ``[U]``) of it."""
    least = floors.clamp(min=1) - 1
    unit, bins, ids, values, peaks = (
        torch.cat([getattr(part, name) for part in parts])
        for name in ("unit", "bin", "example_id", "activation", "peak")
    )
    lifted = bins.sign() * torch.maximum(bins.abs(), least[unit] + 1)
    groups = unit * BIN_COUNT + lifted + OCTAVES
    order = torch.argsort(ids, stable=True)
    order = order[torch.argsort(priorities(ids[order]), stable=True)]
    order = order[torch.argsort(groups[order], stable=True)]
    groups = groups[order]
    within = torch.arange(len(groups)) - torch.searchsorted(groups, groups)
    order = order[within < SAMPLES_PER_BIN]
    counts = _lift(torch.stack([part.counts for part in parts]).sum(0), least)
    return Samples(unit[order], lifted[order], ids[order], values[order], peaks[order], counts)


def _lift(counts: torch.Tensor, least: torch.Tensor) -> torch.Tensor:
    """Counts with what is in the octaves below ``least`` (``[U]``) added to it, on both sides."""
    bins = torch.arange(BIN_COUNT) - OCTAVES
    result = counts.clone()
    for sign in (-1, 1):
        is_low = (bins * sign > 0) & (bins * sign <= least[:, None])
        result[is_low] = 0
        result[torch.arange(len(counts)), OCTAVES + sign * (1 + least)] += (counts * is_low).sum(1)
    return result
