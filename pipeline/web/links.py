"""Addresses of pages and images: the one place that knows what they look like.

A layer's name has colons (``visual.layer4.0.act3:input:max``), which file names of a site cannot have
everywhere: a site writes ``~`` for them, as a server takes either.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote, urlencode, urlsplit

from pipeline.base.errors import ConfigError
from pipeline.report.thumbnails import Picture
from pipeline.warehouse.find import Neuron

RESERVED = frozenset(
    (
        "again",
        "api",
        "compare",
        "image",
        "labels",
        "list",
        "map",
        "random",
        "search",
        "sql",
        "sql.csv",
        "static",
        "strip",
        "words",
    )
)
"""First parts of addresses that are no dataset. One that is called so has a ``~`` before its name."""

Query = Mapping[str, str | int | float | None]


class Links(ABC):
    """Addresses, as the templates ask for them. ``None`` in a query is left out."""

    @abstractmethod
    def page(self, *parts: str, **query: str | int | float | None) -> str:
        """The address of a page.

        Args:
            parts: What is between the slashes.
            query: What stands behind the question mark.
        """

    @abstractmethod
    def asset(self, name: str) -> str:
        """The address of a file of ours: a style sheet, a script."""

    @abstractmethod
    def image(
        self, dataset: str, example_id: int, size_px: int, ring: tuple[float, float] | None = None
    ) -> str:
        """The address of an image of the dataset, in small.

        Args:
            dataset: Its name.
            example_id: Which.
            size_px: Side of the square that it stands in.
            ring: A place to mark, as fractions of the image from the left and the top.
        """

    @abstractmethod
    def strip(self, neuron: Neuron, count: int) -> str:
        """The address of one picture with a neuron's strongest images beside each other."""

    def has_run(self, dataset: str, run_id: str) -> bool:
        """Whether there are pages of a run."""
        return True

    def neighbours(self, neuron: Neuron, unit_count: int) -> tuple[int, int]:
        """The units before and after a neuron in its layer, in a circle."""
        return (neuron.unit - 1) % unit_count, (neuron.unit + 1) % unit_count

    def overview(self) -> str:
        """Where everything begins."""
        return self.page()

    def dataset(self, dataset: str) -> str:
        """A dataset as the first part of an address."""
        return name_dataset(dataset)

    def run(self, dataset: str, run_id: str, **query: str | int | None) -> str:
        """A run."""
        return self.page(name_dataset(dataset), run_id, **query)

    def layer(self, dataset: str, run_id: str, layer: str, **query: str | int | None) -> str:
        """The neurons of a layer."""
        return self.page(name_dataset(dataset), run_id, layer, **query)

    def map(self, dataset: str, run_id: str, layer: str, **query: str | int | None) -> str:
        """The map of a layer."""
        return self.page(name_dataset(dataset), run_id, layer, "map", **query)

    def neuron(self, neuron: Neuron, **query: str | int | None) -> str:
        """A neuron."""
        return self.page(
            name_dataset(neuron.dataset), neuron.run_id, neuron.layer, str(neuron.unit), **query
        )

    def unit(
        self, dataset: str, run_id: str, layer: str, unit: int, **query: str | int | None
    ) -> str:
        """A neuron, by its parts."""
        return self.neuron(Neuron(dataset, run_id, layer, unit), **query)

    def label(self, neuron: Neuron, **query: str | int | None) -> str:
        """Where people label the images of a neuron."""
        place = (name_dataset(neuron.dataset), neuron.run_id, neuron.layer, str(neuron.unit))
        return self.page("labels", *place, **query)

    def labels(self, dataset: str, run_id: str, layer: str | None = None) -> str:
        """What people said of the neurons of a run, or of a layer."""
        return self.page("labels", name_dataset(dataset), run_id, *([layer] if layer else []))

    def example(self, dataset: str, run_id: str, example_id: int) -> str:
        """An image, as a run saw it."""
        return self.page(name_dataset(dataset), run_id, "example", str(example_id))

    def concept(self, dataset: str, run_id: str, category: str, concept: str) -> str:
        """A concept in a run."""
        return self.page(name_dataset(dataset), run_id, "concept", category, concept)

    def category(self, dataset: str, run_id: str, category: str) -> str:
        """A category in a run."""
        return self.page(name_dataset(dataset), run_id, "category", category)

    def picture(self, dataset: str, picture: Picture, size_px: int = 96) -> str:
        """An image that stands on a page, with its ring if it has one."""
        return self.image(dataset, picture.example_id, size_px, picture.peak)


class ServerLinks(Links):
    """Addresses that the server answers."""

    def __init__(self, version: str) -> None:
        """Args:
        version: Changes with the files of ours, so that browsers keep them for ever.
        """
        self._version = version

    def page(self, *parts: str, **query: str | int | float | None) -> str:  # noqa: D102
        given = {name: value for name, value in query.items() if value is not None}
        path = "/" + "/".join(quote(part, safe=":@!$,~") for part in parts)
        return f"{path}?{urlencode(given, safe=':/,;@')}" if given else path

    def asset(self, name: str) -> str:  # noqa: D102
        return self.page("static", name, v=self._version)

    def image(  # noqa: D102
        self, dataset: str, example_id: int, size_px: int, ring: tuple[float, float] | None = None
    ) -> str:
        place = None if ring is None else f"{ring[0]:.3f},{ring[1]:.3f}"
        return self.page("image", dataset, f"{example_id}.webp", size=size_px, ring=place)

    def strip(self, neuron: Neuron, count: int) -> str:  # noqa: D102
        parts = (neuron.dataset, neuron.run_id, neuron.layer, f"{neuron.unit}.webp")
        return self.page("strip", *parts, n=count)


def name_dataset(dataset: str) -> str:
    """A dataset as the first part of an address."""
    return f"~{dataset}" if dataset in RESERVED or dataset.startswith("~") else dataset


def read_dataset(part: str) -> str:
    """The dataset that the first part of an address names."""
    return part.removeprefix("~")


def read_layer(part: str) -> str:
    """The layer that a part of an address names."""
    return part.replace("~", ":")


class ConceptPlace(NamedTuple):
    """A concept in a run, as an address names it."""

    dataset: str
    run_id: str
    category: str
    concept: str


def read_address(address: str) -> Neuron | ConceptPlace:
    """What the address of a page of ours is about; it is read, never fetched.

    Args:
        address: Of a neuron or of a concept; a host before it and a query behind it are left out.

    Raises:
        ConfigError: It is neither.
    """
    try:
        parts = read_parts(urlsplit(address).path)
    except ValueError:
        parts = []
    match parts:
        case [dataset, run_id, "concept", category, concept]:
            return ConceptPlace(read_dataset(dataset), run_id, category, concept)
        case [dataset, run_id, layer, unit] if unit.isascii() and unit.isdigit() and len(unit) < 9:
            return Neuron(read_dataset(dataset), run_id, read_layer(layer), int(unit))
    raise ConfigError(
        f"{address!r} is not the address of a neuron or a concept.",
        "Copy it from a page: /DATASET/RUN/LAYER/UNIT or /DATASET/RUN/concept/CATEGORY/CONCEPT",
    )


def read_parts(path: str) -> list[str]:
    """What stands between the slashes of a path; a slash that is written ``%2F`` parts nothing.

    Args:
        path: As the browser sends it, before anything is decoded.
    """
    return [unquote(part) for part in path.strip("/").split("/")]
