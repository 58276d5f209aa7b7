"""Measuring on a machine that others use too: wall and CPU time, rounds in turn, medians, ratios."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What one round took."""

    wall_s: float
    cpu_s: float
    """Of all threads, and of child processes that ended."""


@dataclass(frozen=True)
class Row:
    """One line of a report."""

    what: str
    value: float
    unit: str
    note: str = ""
    target: str = ""
    """What we hold ourselves to, for a person to compare; never asserted."""


Report = Iterator[Row | str]
"""Lines of a benchmark; a plain text is a heading."""


def measure(work: Callable[[], object]) -> Cost:
    """Run it once."""
    wall, cpu = time.perf_counter(), _cpu_seconds()
    work()
    return Cost(time.perf_counter() - wall, _cpu_seconds() - cpu)


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measure_in_turn(
    stages: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, list[Cost]]:
    """Run every stage once a round, so that all of them meet the same disturbances."""
    costs: dict[str, list[Cost]] = {name: [] for name in stages}
    for _ in range(rounds):
        for name, work in stages.items():
            costs[name].append(measure(work))
    return costs


def wall(costs: Sequence[Cost]) -> float:
    """Median wall time of the rounds in seconds."""
    return statistics.median(cost.wall_s for cost in costs)


def cpu(costs: Sequence[Cost]) -> float:
    """Median CPU time of the rounds in seconds."""
    return statistics.median(cost.cpu_s for cost in costs)
