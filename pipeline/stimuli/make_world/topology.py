"""Outlines from TopoJSON: borders that two countries share stay shared, with fewer points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TypedDict, cast

from pipeline.stimuli.make_world.projection import Point, project, unwrap

_TOLERANCE = 0.8
"""Of a border, in units of the map."""


class _Properties(TypedDict):
    name: str


class Geometry(TypedDict, total=False):
    """A country of a file of world-atlas."""

    type: str
    arcs: list[list[int]] | list[list[list[int]]]
    """Of a Polygon its rings, of a MultiPolygon those of each polygon: numbers of arcs, ``~n`` is backwards."""
    id: str
    """ISO 3166-1, three digits; a few have none."""
    properties: _Properties


class _Transform(TypedDict):
    scale: list[float]
    translate: list[float]


class _Geometries(TypedDict):
    geometries: list[Geometry]


class _Objects(TypedDict):
    countries: _Geometries


class TopoJson(TypedDict):
    """A file of world-atlas."""

    objects: _Objects
    arcs: list[list[list[int]]]
    transform: _Transform


class Topology:
    """A file of world-atlas, its arcs in degrees.

    Args:
        file: What it holds.
        is_simplified: Leave out points without which no border moves by a unit of the map.
    """

    def __init__(self, file: TopoJson, is_simplified: bool = False) -> None:
        self.countries = file["objects"]["countries"]["geometries"]
        arcs = (unwrap(_decode(arc, file["transform"])) for arc in file["arcs"])
        self._arcs = [_simplify(arc) if is_simplified else arc for arc in arcs]

    def rings(self, country: Geometry) -> Iterator[list[Point]]:
        """Every ring of a country, in degrees; the first point is not repeated. Holes are rings too."""
        for ring in _rings(country):
            arcs = (self._arcs[n] if n >= 0 else self._arcs[~n][::-1] for n in ring)
            yield [point for arc in arcs for point in arc[1:]]


def _rings(country: Geometry) -> list[list[int]]:
    if country["type"] == "Polygon":
        return cast("list[list[int]]", country["arcs"])
    return [ring for part in cast("list[list[list[int]]]", country["arcs"]) for ring in part]


def _decode(arc: Sequence[Sequence[int]], transform: _Transform) -> list[Point]:
    """Degrees, from integers that are differences."""
    places = accumulate(arc, lambda a, b: [a[0] + b[0], a[1] + b[1]])
    (x_scale, y_scale), (west, south) = transform["scale"], transform["translate"]
    return [(west + x * x_scale, south + y * y_scale) for x, y in places]


def _simplify(arc: list[Point]) -> list[Point]:
    """The fewest of its points that Douglas and Peucker (1973) need; its ends stay."""
    return [arc[0], *_between(arc, [project(point) for point in arc]), arc[-1]]


def _between(arc: list[Point], places: list[Point]) -> list[Point]:
    if len(arc) < 3:
        return []
    far, at = max((_distance(place, places[0], places[-1]), n) for n, place in enumerate(places))
    if far <= _TOLERANCE:
        return []
    left, right = (slice(0, at + 1), slice(at, None))
    return [*_between(arc[left], places[left]), arc[at], *_between(arc[right], places[right])]


def _distance(place: Point, start: Point, end: Point) -> float:
    """From a line between two places, which may be one."""
    x, y = end[0] - start[0], end[1] - start[1]
    length = x * x + y * y
    along = ((place[0] - start[0]) * x + (place[1] - start[1]) * y) / length if length else 0
    share = min(max(along, 0), 1)
    return math.dist(place, (start[0] + share * x, start[1] + share * y))
