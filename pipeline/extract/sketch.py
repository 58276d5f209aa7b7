"""Mergeable partials of one shard: moments, histogram, top-k and bottom-k, samples by activation.

All are taken from the activations as they are stored (after rounding), over all of them, on both
sides of zero. Merging is associative and commutative except for the last bits of the sums, so a
view over the partials equals a scan of everything.

Powers are summed of deviations from the mean, and merged as Pebay (2008, SAND2008-6212) does: of a
neuron with mean 60,000 and standard deviation 40, sums of plain powers leave 3 digits of the kurtosis
in float64, and of one whose values differ by a last bit none; these leave 13.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pipeline.extract.reservoir import (
    Samples,
    choose_floors,
    count_octaves,
    draw_samples,
    merge_samples,
    order_by_priority,
)

HISTOGRAM_BINS = 125
"""Bins on each side of zero: the top byte of a float16, so four an octave from 2^-14 to 2^16.

The first four are linear (float16 is subnormal there) and the last holds all from 2^16 on.
"""

MOMENTS = (
    "example_count",
    "duplicate_count",
    "zero_count",
    "positive_count",
    "activation_sum",
    "activation_sum_sq",
    "activation_min",
    "activation_max",
    "central_sum_2",
    "central_sum_3",
    "central_sum_4",
    "positive_sum",
    "positive_sum_sq",
)
"""Rows of ``Partials.moments``, named as in the table ``shard_stats``."""

_UNITS_PER_BLOCK = 64
_CHUNK = 8
_SPARE = 32


def bin_edges(bin_: int) -> tuple[float, float]:
    """Left and right edge of a bin: closed toward zero, open away from it; bin 0 is zero itself."""
    if bin_ == 0:
        return 0.0, 0.0

    def edge(index: int) -> float:
        exponent, quarter = divmod(index, 4)
        return quarter * 2.0**-16 if exponent == 0 else (1 + quarter / 4) * 2.0 ** (exponent - 15)

    index = abs(bin_) - 1
    far = float("inf") if index == HISTOGRAM_BINS - 1 else edge(index + 1)
    return (edge(index), far) if bin_ > 0 else (-far, -edge(index))


def _top_bytes(values: torch.Tensor) -> torch.Tensor:
    """uint8, the sign, exponent and two bits of the mantissa of each value, rounded toward zero."""
    if values.dtype == torch.float32:
        halves = values.clamp(-65536.0, 65536.0).half()
        beyond = halves.float().abs() > values.abs()  # rounded away from zero: one step back
        beyond &= values.abs() < 65536.0  # but from 2^16 on, infinity is the last bin
        values = (halves.view(torch.int16) - beyond.short()).view(torch.float16)
    # flat first: with one column, "contiguous" says nothing about the strides
    return values.contiguous().flatten().view(torch.uint8)[1::2].view(values.shape)


def histogram(values: torch.Tensor) -> torch.Tensor:
    """Counts on the fixed edges, int64 ``[U, 251]``, column ``bin + 125``.

    Args:
        values: ``[U, N]``, float16 or float32, finite.
    """
    rows, bins = len(values), HISTOGRAM_BINS
    offsets = torch.arange(rows, dtype=torch.int32)[:, None] * 256
    bytes_ = (_top_bytes(values).int() + offsets).flatten()
    counts = torch.bincount(bytes_, minlength=rows * 256).view(rows, 256)
    zeros = count_true(values == 0)
    signed_zeros = count_true(values.view(_INTEGERS[values.dtype]) == 0)
    result = torch.zeros(rows, 2 * bins + 1, dtype=torch.int64)
    result[:, bins + 1 :] = counts[:, :bins]
    result[:, :bins] = counts[:, 128 : 128 + bins].flip(1)
    result[:, bins] = zeros
    result[:, bins + 1] -= signed_zeros
    result[:, bins - 1] -= zeros - signed_zeros
    return result


_INTEGERS = {torch.float16: torch.int16, torch.float32: torch.int32}


def count_true(mask: torch.Tensor) -> torch.Tensor:
    """Number of true entries in each row, int64. (``sum`` over booleans is three times slower.)"""
    return torch.tensor([int(np.count_nonzero(row)) for row in mask.numpy()])


def order_keys(values: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """int64, unique in each row: descending key = descending value, then ascending column."""
    bits = (values + 0.0).view(torch.int32)  # + 0.0 turns -0.0 into 0.0
    order = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (order.long() << 32) | (0xFFFFFFFF - columns)


def _candidates(values: torch.Tensor, k: int) -> torch.Tensor | None:
    """Columns ``[U, M]`` that hold all of the top-k of each row, ties included; None if unsure.

    The k-th largest of the chunks' maxima bounds the k-th largest value from below, so only chunks
    at or above it matter. More chunks than expected at the bound itself (ties) make it unsure.
    """
    chunk_count = values.shape[1] // _CHUNK
    taken = k + _SPARE
    if chunk_count < 2 * taken:
        return None
    inside = chunk_count * _CHUNK
    maxima = values[:, :inside].view(len(values), _CHUNK, chunk_count).amax(1)
    best, chunks = maxima.topk(taken, dim=1)
    if bool((best[:, -1] >= best[:, k - 1]).any()):
        return None
    columns = (chunks[:, :, None] + torch.arange(_CHUNK) * chunk_count).flatten(1)
    rest = torch.arange(inside, values.shape[1]).expand(len(values), -1)
    return torch.cat([columns, rest], dim=1)


def _top(values: torch.Tensor, k: int, only_above_zero: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows and columns of the top-k of each row with the full tie-break, row by row, best first."""
    count = min(k, values.shape[1])
    if count == 0:
        nothing = torch.zeros(0, dtype=torch.int64)
        return nothing, nothing
    columns = _candidates(values, count)
    if columns is None:
        columns = torch.arange(values.shape[1]).expand(len(values), -1)
        keys = order_keys(values, columns)
    else:
        keys = order_keys(values.gather(1, columns), columns)
    best, places = keys.topk(count, dim=1)
    keep = (best >> 32) > 0 if only_above_zero else torch.ones_like(best, dtype=torch.bool)
    rows, ranks = keep.nonzero(as_tuple=True)
    return rows, columns.gather(1, places)[rows, ranks]


@dataclass
class Partials:
    """Partials of one layer over part of a shard. Tensors are on the CPU.

    ``moments`` is float64 ``[13, U]``, the rows of `MOMENTS`. ``histogram`` is int64 ``[U, 251]``.
    ``top`` maps a polarity to ``(unit, example_id, activation)``, best first within a unit.
    ``samples`` are a few examples of each neuron and octave.
    """

    moments: torch.Tensor
    histogram: torch.Tensor
    top: dict[str, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
    samples: Samples


def sketch(
    activations: torch.Tensor,
    example_ids: torch.Tensor,
    is_duplicate: torch.Tensor,
    top_k: int,
    only_signed: bool,
    is_whole: bool = True,
) -> Partials:
    """Partials of a block of activations.

    Args:
        activations: ``[U, N]``, unit-major, float16 or float32, finite.
        example_ids: int64 ``[N]``, ascending.
        is_duplicate: bool ``[N]``; these count in the moments but are never a top example or sample.
        top_k: How many top and bottom examples to keep.
        only_signed: A positive top example must be above zero and a negative one below it (runs
            that store ``positive``); otherwise every value can be one.
        is_whole: These are all examples of the shard; partials of a part are to be merged.
    """
    units, count = activations.shape
    moments = torch.zeros(len(MOMENTS), units, dtype=torch.float64)
    moments[6], moments[7] = torch.inf, -torch.inf
    counts = torch.zeros(units, 2 * HISTOGRAM_BINS + 1, dtype=torch.int64)
    first = (~is_duplicate).nonzero().flatten()
    first_ids = example_ids[first]
    kept: dict[str, list[tuple[torch.Tensor, ...]]] = {"positive": [], "negative": []}
    drawn: list[tuple[Any, ...]] = []
    again = is_duplicate.nonzero().flatten()
    order = order_by_priority(example_ids.numpy(), is_duplicate.numpy())
    for start in range(0, units, _UNITS_PER_BLOCK):
        block = slice(start, min(start + _UNITS_PER_BLOCK, units))
        values = activations[block].float()
        exact = values.double()
        counts[block] = histogram(activations[block])
        moments[0, block] = count
        moments[1, block] = count - len(first)
        moments[2, block] = counts[block, HISTOGRAM_BINS].double()
        moments[3, block] = counts[block, HISTOGRAM_BINS + 1 :].sum(1).double()
        moments[4, block] = exact.sum(1)
        moments[5, block] = torch.linalg.vecdot(exact, exact)
        if count:
            moments[6, block] = values.amin(1).double()
            moments[7, block] = values.amax(1).double()
            away = exact - (moments[4, block] / count)[:, None]
            squared = away * away
            moments[8, block] = squared.sum(1)
            moments[9, block] = torch.linalg.vecdot(squared, away)
            moments[10, block] = torch.linalg.vecdot(squared, squared)
            above = exact.clamp_(min=0)
            moments[11, block] = above.sum(1)
            moments[12, block] = torch.linalg.vecdot(above, above)
        canonical = values if len(first) == count else values[:, first]
        for polarity, sign in (("positive", 1), ("negative", -1)):
            rows, columns = _top(canonical * sign, top_k, only_signed)
            kept[polarity].append((rows + start, first_ids[columns], canonical[rows, columns]))
        in_bins = counts[block]
        if len(again):
            in_bins = in_bins - histogram(activations[block][:, again])
        units_drawn, bins, places, totals = draw_samples(
            activations[block],
            _top_bytes(activations[block]),
            order,
            count_octaves(in_bins.numpy()),
            choose_floors(moments[:, block].numpy()) * is_whole,
        )
        taken = activations[block].numpy()[units_drawn, places]
        drawn.append((units_drawn + start, bins, example_ids.numpy()[places], taken, totals))
    top = {
        polarity: tuple(torch.cat(parts) for parts in zip(*blocks, strict=True))
        for polarity, blocks in kept.items()
    }
    unit, bins, ids, taken, totals = (np.concatenate(each) for each in zip(*drawn, strict=True))
    samples = Samples(unit, bins, ids, taken, totals, is_whole)
    return Partials(moments, counts, top, samples)  # type: ignore[arg-type]  # three tensors each


def merge(parts: list[Partials], top_k: int) -> Partials:
    """Merge the partials of disjoint sets of examples of one layer: the parts of a shard."""
    if len(parts) == 1 and parts[0].samples.is_whole:
        return parts[0]
    moments = _merge_moments(torch.stack([part.moments for part in parts]))
    counts = torch.stack([part.histogram for part in parts]).sum(0)
    top = {}
    for polarity, sign in (("positive", 1), ("negative", -1)):
        unit, example_id, activation = (
            torch.cat([part.top[polarity][i] for part in parts]) for i in range(3)
        )
        order = torch.argsort(example_id, stable=True)
        order = order[torch.argsort(activation[order] * -sign, stable=True)]
        order = order[torch.argsort(unit[order], stable=True)]
        unit, example_id, activation = unit[order], example_id[order], activation[order]
        keep = ranks_within(unit) < top_k
        top[polarity] = (unit[keep], example_id[keep], activation[keep])
    samples = merge_samples([part.samples for part in parts], choose_floors(moments.numpy()))
    return Partials(moments, counts, top, samples)


def _merge_moments(parts: torch.Tensor) -> torch.Tensor:
    """Moments ``[13, U]`` of the union of parts, ``[P, 13, U]``; as ``sql/staging/stg_neuron_moments.sql``."""
    merged = parts.sum(0)
    merged[6], merged[7] = parts[:, 6].amin(0), parts[:, 7].amax(0)
    count = parts[:, 0]
    away = parts[:, 4] / count.clamp(min=1) - merged[4] / merged[0].clamp(min=1)
    squares, cubes = parts[:, 8], parts[:, 9]
    merged[8] += (count * away**2).sum(0)
    merged[9] += (3 * away * squares + count * away**3).sum(0)
    merged[10] += (4 * away * cubes + 6 * away**2 * squares + count * away**4).sum(0)
    return merged


def ranks_within(unit: torch.Tensor) -> torch.Tensor:
    """Position of each entry within its run of equal values, from 0; ``unit`` is sorted."""
    positions = torch.arange(len(unit))
    if not len(unit):
        return positions
    is_start = torch.ones_like(unit, dtype=torch.bool)
    is_start[1:] = unit[1:] != unit[:-1]
    starts = torch.where(is_start, positions, torch.zeros_like(positions)).cummax(0).values
    return positions - starts
