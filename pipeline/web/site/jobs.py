"""What there is to do: a site in pieces, each made by one process, and known by what it is made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from pipeline.web.neuron_filter import Filter
from pipeline.web.neurons import PAGE_SIZE
from pipeline.web.site.choose import Chosen, Place
from pipeline.web.site.linked import Linked

Part = TypeVar("Part")

BLOCK = 64
"""Neurons of which one process asks at once; also concepts."""

IMAGES_BLOCK = 256
"""And images: what each excites is looked for in all activations of the run."""

LISTS = tuple(
    Filter(sort=sort, view=view) for view in ("grid", "table") for sort in ("convincing", "unit")
)
"""The lists of a layer, without their page."""


class NeuronsJob(NamedTuple):
    """Pages of some neurons of a layer."""

    place: Place
    units: tuple[int, ...]

    @property
    def dataset(self) -> str:
        """Whose neurons."""
        return self.place.dataset

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
    def dataset(self) -> str:
        """Whose neurons."""
        return self.place.dataset

    @property
    def name(self) -> str:
        """No other job of the site has it."""
        return f"{'/'.join(self.place)} list {self.number}"

    @property
    def size(self) -> int:
        """Pages count as much as neurons."""
        return -(-self.neuron_count // PAGE_SIZE)


class ConceptsJob(NamedTuple):
    """Pages of some concepts and categories of a run."""

    dataset: str
    run_id: str
    number: int
    names: tuple[tuple[str, str | None], ...]
    """Category and concept; a category itself has no second name."""

    @property
    def name(self) -> str:
        """No other job of the site has it."""
        return f"{self.dataset}/{self.run_id} concepts {self.number}"

    @property
    def size(self) -> int:
        """Pages."""
        return len(self.names)


class ImagesJob(NamedTuple):
    """Pages of some images, as a run saw them."""

    dataset: str
    run_id: str
    number: int
    ids: tuple[int, ...]

    @property
    def name(self) -> str:
        """No other job of the site has it."""
        return f"{self.dataset}/{self.run_id} images {self.number}"

    @property
    def size(self) -> int:
        """Pages."""
        return len(self.ids)


Job = NeuronsJob | ListsJob | ConceptsJob | ImagesJob


def list_jobs(chosen: Chosen, linked: Linked) -> list[Job]:
    """All that is done for runs, the longest first."""
    jobs: list[Job] = []
    for place, units in chosen.units.items():
        jobs += [NeuronsJob(place, block) for block in _parts(units, BLOCK)]
        jobs += [ListsJob(place, number, len(units)) for number in range(len(LISTS))]
    for run in sorted(chosen.runs):
        names = enumerate(_parts(linked.names(run), BLOCK))
        jobs += [ConceptsJob(*run, number, block) for number, block in names]
        ids = enumerate(_parts(sorted(linked.examples.get(run, ())), IMAGES_BLOCK))
        jobs += [ImagesJob(*run, number, block) for number, block in ids]
    return sorted(jobs, key=lambda job: (-job.size, job.name))


def _parts(listed: Sequence[Part], size: int) -> Iterator[tuple[Part, ...]]:
    return (tuple(listed[at : at + size]) for at in range(0, len(listed), size))


@dataclass(frozen=True)
class Made:
    """What a job has written."""

    name: str
    files: dict[str, int]
    """Bytes of each, by path in the site."""
