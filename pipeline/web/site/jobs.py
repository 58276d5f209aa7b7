"""What there is to do: a site in pieces, each made by one process, and known by what it is made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.web.neurons import PAGE_SIZE, Filter
from pipeline.web.site.choose import Chosen, Place

BLOCK = 64
"""Neurons of which one process asks at once."""

LISTS = tuple(
    Filter(sort=sort, view=view) for view in ("grid", "table") for sort in ("convincing", "unit")
)
"""The lists of a layer, without their page."""


class NeuronsJob(NamedTuple):
    """Pages of some neurons of a layer."""

    place: Place
    units: tuple[int, ...]

    @property
    def name(self) -> str:
        """No other job of the site has it."""
        return f"{'/'.join(self.place)} {self.units[0]}-{self.units[-1]}"

    @property
    def size(self) -> int:
        """Neurons on its pages."""
        return len(self.units)


class ListsJob(NamedTuple):
    """One kind of list of the neurons of a layer, all its pages."""

    place: Place
    number: int
    """Which of `LISTS`."""
    neuron_count: int

    @property
    def name(self) -> str:
        """No other job of the site has it."""
        return f"{'/'.join(self.place)} list {self.number}"

    @property
    def size(self) -> int:
        """Pages count as much as neurons."""
        return -(-self.neuron_count // PAGE_SIZE)


Job = NeuronsJob | ListsJob


def list_jobs(chosen: Chosen) -> list[Job]:
    """All that is done for layers, the longest first."""
    jobs: list[Job] = []
    for place, units in chosen.units.items():
        jobs += [NeuronsJob(place, tuple(block)) for block in _parts(units, BLOCK)]
        jobs += [ListsJob(place, number, len(units)) for number in range(len(LISTS))]
    return sorted(jobs, key=lambda job: (-job.size, job.name))


def _parts(units: Iterable[int], size: int) -> Iterator[list[int]]:
    listed = list(units)
    return (listed[at : at + size] for at in range(0, len(listed), size))


@dataclass(frozen=True)
class Made:
    """What a job has written."""

    name: str
    files: dict[str, int]
    """Bytes of each, by path in the site."""
