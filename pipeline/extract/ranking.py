"""Order of activations as whole numbers, and the strongest and weakest examples of each neuron.

A key holds a value's place among all floats in its high bits and the column in its low bits, so that
one sort of whole numbers ranks with the full tie-break: by value, then by column. No two are equal,
hence every sort, on any device, gives the same.
"""

from __future__ import annotations

import torch

from pipeline.extract.primitives import sort_rows, take_first

INTEGERS = {torch.float16: torch.int16, torch.float32: torch.int32}
"""Whole numbers of the same width."""


def order_values(values: torch.Tensor) -> torch.Tensor:
    """Whole numbers in the order of the values, 0 for 0.0 and -0.0, negative below zero.

    Args:
        values: float16 (gives int16) or float32 (gives int32), any shape, finite.
    """
    bits = values.view(INTEGERS[values.dtype])
    info = torch.iinfo(bits.dtype)
    sign = bits >> (info.bits - 1)  # -1 or 0
    return (bits ^ (sign & info.max)) - sign


def are_finite(values: torch.Tensor) -> bool:
    """Neither NaN nor infinite, any of them; float16 or float32. (``isfinite`` takes ten times as long.)"""
    bits = values.view(INTEGERS[values.dtype])
    magnitudes = bits & torch.iinfo(bits.dtype).max
    infinity = torch.tensor(torch.inf, dtype=values.dtype).view(bits.dtype)
    return not values.numel() or int(magnitudes.amax()) < int(infinity)


def order_keys(values: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """int64, unique in each row: descending key = descending value, then ascending column.

    Args:
        values: float32 ``[U, N]``, finite.
        columns: int64, below 2^32.
    """
    return (order_values(values).long() << 32) | (0xFFFFFFFF - columns)


def find_extremes(
    order: torch.Tensor, k: int, only_signed: bool
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The most extreme examples of each neuron on both sides, with the full tie-break.

    Args:
        order: ``[U, N]`` of :func:`order_values`.
        k: How many on each side, if so many are there.
        only_signed: A positive one must be above zero and a negative one below it.

    Returns:
        By polarity: rows and columns, int64, row by row, best first and ties by column.
    """
    units, places = order.shape
    count = min(k, places)
    if count == 0:
        nothing = torch.zeros(0, dtype=torch.int64, device=order.device)
        return {"positive": (nothing, nothing), "negative": (nothing, nothing)}
    is_narrow = order.dtype == torch.int16 and places <= 1 << 16
    dtype, shift = (torch.int32, 16) if is_narrow else (torch.int64, 32)
    low_bits = (1 << shift) - 1
    keys = order.to(dtype).bitwise_left_shift_(shift)
    keys = sort_rows(keys.bitwise_or_(torch.arange(places, dtype=dtype, device=order.device)))
    weakest = keys[:, :count]
    # The last ones are the strongest, but for ties with the weakest of them, in columns that come
    # first: of the run of its equals, the first are taken.
    bound = keys[:, places - count, None] >> shift
    first = torch.searchsorted(keys, bound << shift)
    after = torch.searchsorted(keys, (bound + 1) << shift)
    ranks = torch.arange(count, device=order.device)
    is_tied = ranks < count - (places - after)
    strongest = keys.gather(1, ranks + (places - count) - is_tied * (places - count - first))
    strongest = sort_rows(strongest.bitwise_xor_(low_bits)).flip(1)
    found = {}
    for polarity, ends, flip in (("positive", strongest, low_bits), ("negative", weakest, 0)):
        if only_signed:
            side = ends >> shift
            kept = (side > 0 if polarity == "positive" else side < 0).sum(1)
        else:
            kept = torch.full((units,), count, device=order.device)
        starts = torch.arange(units, device=order.device) * count
        rows, taken = take_first(starts, kept)
        found[polarity] = (rows, ((ends.flatten().index_select(0, taken) & low_bits) ^ flip).long())
    return found


def ranks_within(unit: torch.Tensor) -> torch.Tensor:
    """Position of each entry within its run of equal values, from 0; ``unit`` is sorted, on the CPU."""
    counts = torch.bincount(unit)
    starts = counts.cumsum(0) - counts
    return torch.arange(len(unit)) - starts.index_select(0, unit)
