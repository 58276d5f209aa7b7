"""What a run keeps of a layer's activations: all, those above zero, each neuron's strongest share, or none.

Statistics, top examples, samples and embeddings are kept in any case.
"""

from __future__ import annotations

import torch

from pipeline.extract.device import to_host
from pipeline.extract.ranking import find_extremes, order_values, ranks_within

NONE = "none"
_TOP = "top:"

Kept = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Unit and example_id, both int64, and activation, on the CPU; by unit, then by example_id."""


def choose_kept(asked: str, is_rectified: bool) -> str:
    """What is kept of a layer, spelled in one way, from what was asked of all."""
    if asked == "auto":
        return "positive" if is_rectified else "all"
    if asked.startswith(_TOP):
        return _TOP + f"{float(asked.removeprefix(_TOP)):.6f}".rstrip("0")
    return asked


def is_one_sided(kept: str, is_rectified: bool) -> bool:
    """Whether a top example must be above zero, and a most inhibiting one below it."""
    return kept == "positive" or (is_rectified and kept != "all")


def is_share(kept: str) -> bool:
    """Whether each neuron's strongest share is kept."""
    return kept.startswith(_TOP)


def count_kept(kept: str, example_count: int) -> int:
    """How many activations of a neuron its share of a shard is: rounded up, so one at least."""
    millionths = round(
        float(kept.removeprefix(_TOP)) * 1_000_000
    )  # no float's last digit rounds up
    return -(-millionths * example_count // 1_000_000)  # as the macro `kept_count` of the views


def find_strongest(
    values: torch.Tensor, example_ids: torch.Tensor, count: int, only_positive: bool
) -> Kept:
    """Each neuron's strongest activations; of equal ones those of the first examples.

    Args:
        values: ``[U, N]``, unit-major, finite, on any device.
        example_ids: int64 ``[N]``, ascending.
        count: How many of each neuron, if so many are there.
        only_positive: Without those that are not above zero.
    """
    rows, columns = find_extremes(order_values(values), count, only_positive)["positive"]
    places = (rows * values.shape[1] + columns).sort().values
    kept = values.flatten().index_select(0, places)
    rows, columns = places // max(1, values.shape[1]), places % max(1, values.shape[1])
    unit, ids, kept = to_host([rows, example_ids.to(values.device)[columns], kept])
    return unit, ids, kept


def merge_strongest(parts: list[Kept], count: int) -> Kept:
    """The strongest ``count`` of each neuron in all parts.

    Args:
        parts: Of disjoint examples, one after the other.
        count: How many of each neuron, if so many are there.
    """
    unit, ids, values = (torch.cat(column) for column in zip(*parts, strict=True))
    order = torch.argsort(unit, stable=True)  # within a unit still by example_id
    unit, ids, values = unit[order], ids[order], values[order]
    best = torch.argsort(values.float(), descending=True, stable=True)
    best = best[torch.argsort(unit[best], stable=True)]
    kept = best[ranks_within(unit[best]) < count].sort().values
    return unit[kept], ids[kept], values[kept]
