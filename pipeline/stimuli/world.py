"""The countries of the world as outlines: ``world.json``, which `pipeline.stimuli.make_world` writes.

From Natural Earth (public domain), 1:110 million, in the Equal Earth projection, on which areas are true.
Borders are where Natural Earth draws them: by who governs, not by who claims. Each country has the name of its
concept in the lexicon; one that is too small to be seen is a point.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import TypedDict

WORLD = Path(__file__).with_name("world.json")
"""The file that ships."""


class CountryEntry(TypedDict, total=False):
    """A country in the file: with ``rings``, or with ``at``."""

    code: str
    """ISO 3166-1, two letters; XK is Kosovo; empty where there is none."""
    name: str
    is_concept: bool
    rings: list[list[int]]
    """Of each ring the first point, then the way to each next one: x, y, x, y, ..."""
    at: list[int]


class WorldFile(TypedDict):
    """The file."""

    made_from: dict[str, str]
    """Packages with version, and their SHA-512."""
    width: int
    height: int
    edge: list[int]
    """The ring of the whole earth."""
    countries: list[CountryEntry]


@dataclass(frozen=True)
class Country:
    """A country on the map."""

    name: str
    """Of its concept, of the category region; if there is none, as Natural Earth calls it."""
    is_concept: bool
    rings: tuple[tuple[int, ...], ...]
    """As in the file; what is in an even number of rings is outside. Empty if it is a point."""
    at: tuple[int, int] | None
    """Where it is, if it is a point: x, y."""

    @property
    def path(self) -> str:
        """Its outline, as ``d`` of an SVG path; empty if it is a point."""
        return "".join(map(ring_path, self.rings))

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of its largest ring, or of its point."""
        if self.at is not None:
            return (*self.at, *self.at)
        return max(map(_box, self.rings), key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))


@dataclass(frozen=True)
class World:
    """The map; x grows to the right from 0 to `width`, y downwards from 0 to `height`."""

    width: int
    height: int
    edge: str
    """Of the whole earth, as ``d`` of an SVG path."""
    countries: tuple[Country, ...]
    """By name, points last."""


@cache
def load_world() -> World:
    """The map that ships."""
    file = read_world()
    countries = (
        Country(
            one["name"],
            one["is_concept"],
            tuple(map(tuple, one.get("rings", ()))),
            (one["at"][0], one["at"][1]) if "at" in one else None,
        )
        for one in file["countries"]
    )
    return World(file["width"], file["height"], ring_path(file["edge"]), tuple(countries))


def read_world() -> WorldFile:
    """The file that ships, as it is."""
    file: WorldFile = json.loads(WORLD.read_text(encoding="utf-8"))
    return file


def ring_path(ring: tuple[int, ...] | list[int]) -> str:
    """A ring of the file as ``d`` of an SVG path."""
    x, y, *ways = ring
    return f"M{x} {y}l{' '.join(map(str, ways)).replace(' -', '-')}z"


def _box(ring: tuple[int, ...]) -> tuple[int, int, int, int]:
    xs, ys = (list(accumulate(ring[axis::2])) for axis in (0, 1))
    return min(xs), min(ys), max(xs), max(ys)
