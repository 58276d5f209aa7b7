"""Mergeable partials of one shard: moments, histogram, top-k and bottom-k, samples by activation.

All are taken from the activations as they are stored (after rounding), over all of them, on both
sides of zero. Merging is associative and commutative except for the last bits of the sums, so a
view over the partials equals a scan of everything.

Powers are summed of deviations from the mean, and merged as Pebay (2008, SAND2008-6212) does: of a
neuron with mean 60,000 and standard deviation 40, sums of plain powers leave 3 digits of the kurtosis
in float64, and of one whose values differ by a last bit none; these leave 13.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from pipeline.extract.device import to_host
from pipeline.extract.ranking import find_extremes, order_values, ranks_within
from pipeline.extract.reservoir import (
    Samples,
    bins_of,
    choose_floors,
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

_QUARTER_BITS = 8
_BLOCK = {"cpu": 1 << 18, "cuda": 1 << 22}
_SUM_BLOCK = {"cpu": 1 << 15, "cuda": 1 << 22}
"""Activations at once: what is made of them stays in a CPU's cache, or in a quarter of a gigabyte."""


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


def order_halves(values: torch.Tensor) -> torch.Tensor:
    """int16, the order (`ranking.order_values`) of each value as float16, rounded toward zero.

    What is not zero stays on its side of it, and what is 2^16 or more is beyond all float16.
    """
    if values.dtype == torch.float16:
        return order_values(values)
    halves = values.clamp(-65536.0, 65536.0).half()
    away = halves.float().abs() > values.abs()  # rounded away from zero: one step back
    away &= values.abs() < 65536.0  # but from 2^16 on, infinity is the last bin
    steps = order_values(halves).abs() - away.short()
    return steps.clamp_(min=1).mul_(values.sign().short())


def count_bins(order: torch.Tensor) -> torch.Tensor:
    """Counts on the fixed edges, int64 ``[U, 251]``, column ``bin + 125``.

    Args:
        order: int16 ``[U, N]`` of `order_halves`.
    """
    rows, width = len(order), 2 * HISTOGRAM_BINS + 1
    offsets = torch.arange(rows, dtype=torch.int32, device=order.device) * width + HISTOGRAM_BINS
    codes = bins_of(order, _QUARTER_BITS) + offsets[:, None]
    return torch.bincount(codes.flatten(), minlength=rows * width).view(rows, width)


Top = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Unit and example_id, both int64, activation, and int32 peak (-1: not known), best first within a unit."""


@dataclass
class Partials:
    """Partials of one layer over part of a shard, where the activations were.

    ``moments`` is float64 ``[13, U]``, the rows of `MOMENTS`. ``histogram`` is int64 ``[U, 251]``.
    ``top`` maps a polarity to its examples. ``samples`` are a few examples of each neuron and octave.
    """

    moments: torch.Tensor
    histogram: torch.Tensor
    top: dict[str, Top]
    samples: Samples

    def to_host(self) -> Partials:
        """The same on the CPU, in one go."""
        samples = self.samples
        moments, histogram, *rest = to_host(
            [
                *(self.moments, self.histogram),
                *(tensor for top in self.top.values() for tensor in top),
                *(samples.unit, samples.bin, samples.example_id),
                *(samples.activation, samples.peak, samples.counts),
            ]
        )
        return _gather(moments, histogram, rest, samples.is_whole)


def _gather(
    moments: torch.Tensor, histogram: torch.Tensor, rest: list[torch.Tensor], is_whole: bool
) -> Partials:
    """Partials of their tensors: four for each polarity, then those of the samples."""
    top = {
        "positive": (rest[0], rest[1], rest[2], rest[3]),
        "negative": (rest[4], rest[5], rest[6], rest[7]),
    }
    unit, bins, example_id, activation, peak, counts = rest[8:]
    samples = Samples(unit, bins, example_id, activation, peak, counts, is_whole)
    return Partials(moments, histogram, top, samples)


def sketch(
    activations: torch.Tensor,
    example_ids: torch.Tensor,
    is_duplicate: torch.Tensor,
    top_k: int,
    only_signed: bool,
    is_whole: bool = True,
    peaks: torch.Tensor | None = None,
) -> Partials:
    """Partials of a block of activations, computed on the device where all three tensors are.

    On every device the same, but for the last bits of the sums, which depend on the order of adding.

    Args:
        activations: ``[U, N]``, unit-major, float16 or float32, finite.
        example_ids: int64 ``[N]``, ascending.
        is_duplicate: bool ``[N]``; these count in the moments but are never a top example or sample.
        top_k: How many top and bottom examples to keep.
        only_signed: A positive top example must be above zero and a negative one below it (runs
            that store ``positive``); otherwise every value can be one.
        is_whole: These are all examples of the shard; partials of a part are to be merged.
        peaks: ``[U, N]``, where each activation is the largest (`hooks.find_peaks`), if that is known.
    """
    count = activations.shape[1]
    first = (~is_duplicate).nonzero().flatten()
    first_ids = example_ids.index_select(0, first)
    by_priority = order_by_priority(example_ids, is_duplicate)
    moments = _moments(activations)
    moments[1] = count - len(first)
    pieces: list[list[torch.Tensor]] = []
    for start, block in _blocks(activations, _BLOCK):
        order = order_halves(block)
        counts = count_bins(order)
        here = moments[:, start : start + len(block)]
        here[2] = counts[:, HISTOGRAM_BINS]
        here[3] = counts[:, HISTOGRAM_BINS + 1 :].sum(1)
        floors = choose_floors(here) * is_whole
        rows, bins, columns, totals = draw_samples(order, by_priority, floors)
        drawn = block.flatten().index_select(0, rows * count + columns)
        ids = example_ids.index_select(0, columns)
        sampled = [rows + start, bins, ids, drawn, _peaks_at(peaks, rows + start, columns), totals]
        canonical, its_order = block, order
        if len(first) < count:
            canonical, its_order = block.index_select(1, first), order.index_select(1, first)
        if block.dtype == torch.float32:
            its_order = order_values(canonical)
        tops = []
        for rows, columns in find_extremes(its_order, top_k, only_signed).values():
            best = canonical.flatten().index_select(0, rows * len(first) + columns)
            where = _peaks_at(peaks, rows + start, first.index_select(0, columns))
            tops += [rows + start, first_ids.index_select(0, columns), best.float(), where]
        pieces.append([counts, *tops, *sampled])
    histogram, *rest = (torch.cat(each) for each in zip(*pieces, strict=True))
    return _gather(moments, histogram, rest, is_whole)


def _peaks_at(
    peaks: torch.Tensor | None, rows: torch.Tensor, columns: torch.Tensor
) -> torch.Tensor:
    """int32, what ``peaks`` (``[U, N]``) says at some places; -1 if it says nothing."""
    if peaks is None:
        return torch.full_like(rows, -1, dtype=torch.int32)
    return peaks.flatten().index_select(0, rows * peaks.shape[1] + columns).int()


def _blocks(values: torch.Tensor, sizes: dict[str, int]) -> Iterator[tuple[int, torch.Tensor]]:
    """First unit and activations of each block of ``[U, N]``, as large as suits the device."""
    units, count = values.shape
    step = max(1, sizes.get(values.device.type, sizes["cpu"]) // max(1, count))
    for start in range(0, units, step):
        yield start, values[start : start + step].contiguous()


def _moments(activations: torch.Tensor) -> torch.Tensor:
    """Float64 ``[13, U]``, the rows of `MOMENTS`; those that count are not filled in, but for the first."""
    units, count = activations.shape
    moments = torch.zeros(len(MOMENTS), units, dtype=torch.float64, device=activations.device)
    moments[0], moments[6], moments[7] = count, torch.inf, -torch.inf
    for start, block in _blocks(activations, _SUM_BLOCK) if count else ():
        here, values = moments[:, start : start + len(block)], block.float()
        exact = values.double()
        here[4] = exact.sum(1)
        here[6], here[7] = values.amin(1), values.amax(1)
        away = exact - (here[4] / count)[:, None]
        squared = away * away
        here[8] = squared.sum(1)
        here[9] = away.mul_(squared).sum(1)
        here[10] = squared.mul_(squared).sum(1)
        here[5] = torch.mul(exact, exact, out=squared).sum(1)
        above = exact.clamp_(min=0)
        here[11] = above.sum(1)
        here[12] = above.mul_(above).sum(1)
    return moments


def merge(parts: list[Partials], top_k: int) -> Partials:
    """Merge the partials of disjoint sets of examples of one layer, on the CPU: a shard's parts."""
    if len(parts) == 1 and parts[0].samples.is_whole:
        return parts[0]
    moments = _merge_moments(torch.stack([part.moments for part in parts]))
    counts = torch.stack([part.histogram for part in parts]).sum(0)
    top: dict[str, Top] = {}
    for polarity, sign in (("positive", 1), ("negative", -1)):
        unit, example_id, activation, peak = (
            torch.cat([part.top[polarity][i] for part in parts]) for i in range(4)
        )
        order = torch.argsort(example_id, stable=True)
        order = order[torch.argsort(activation[order] * -sign, stable=True)]
        order = order[torch.argsort(unit[order], stable=True)]
        order = order[ranks_within(unit[order]) < top_k]
        top[polarity] = (unit[order], example_id[order], activation[order], peak[order])
    samples = merge_samples([part.samples for part in parts], choose_floors(moments))
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
