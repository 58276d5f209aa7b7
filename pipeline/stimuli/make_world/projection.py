"""From degrees to the plane: Equal Earth, on which areas are true (Šavrič, Patterson and Jenny 2018).

Doi:10.1080/13658816.2018.1504949, equations 8 to 11. What crosses the meridian of 180 degrees is cut there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

Point = tuple[float, float]
"""Degrees east and north; or x and y."""

WIDTH = 2000
"""Of the map, in its units; x grows to the right, y downwards."""
_A = (1.340264, -0.081106, 0.000893, 0.003796)
_SCALE = WIDTH / (4 * math.sqrt(3) * math.pi / (3 * _A[0]))
_NORTH = math.pi / 3
"""Of the pole, as the parameter of the projection."""


def _height(theta: float) -> float:
    a, b, c, d = _A
    return a * theta + b * theta**3 + c * theta**7 + d * theta**9


HEIGHT = math.ceil(2 * _height(_NORTH) * _SCALE)


def project(point: Point) -> Point:
    """A place on the map."""
    longitude, latitude = (math.radians(degrees) for degrees in point)
    theta = math.asin(math.sqrt(3) / 2 * math.sin(latitude))
    a, b, c, d = _A
    slope = a + 3 * b * theta**2 + 7 * c * theta**6 + 9 * d * theta**8
    x = 2 * math.sqrt(3) * longitude * math.cos(theta) / (3 * slope)
    return WIDTH / 2 + _SCALE * x, HEIGHT / 2 - _SCALE * _height(theta)


def unwrap(points: Sequence[Point]) -> list[Point]:
    """A line without jumps from 180 to -180 degrees: what goes on beyond has longitudes beyond."""
    found = [points[0]]
    for longitude, latitude in points[1:]:
        turns = round((found[-1][0] - longitude) / 360)
        found.append((longitude + 360 * turns, latitude))
    return found


def cut(ring: Sequence[Point]) -> Iterator[list[Point]]:
    """The pieces of a ring between -180 and 180 degrees; a ring around a pole gets the pole's edge."""
    *whole, last = unwrap([*ring, ring[0]])
    if abs(last[0] - whole[0][0]) > 180:
        pole = math.copysign(90, last[1])
        whole += [last, (last[0], pole), (whole[0][0], pole)]
    for shift in (-360, 0, 360):
        piece = [(longitude + shift, latitude) for longitude, latitude in whole]
        piece = _keep(piece, lambda point: point[0] + 180, -180)
        piece = _keep(piece, lambda point: 180 - point[0], 180)
        if len(piece) > 2:
            yield piece


def _keep(ring: list[Point], side: Callable[[Point], float], edge: float) -> list[Point]:
    """What of a ring lies where `side` is not negative (Sutherland and Hodgman 1974)."""
    found: list[Point] = []
    for before, point in zip([*ring[-1:], *ring[:-1]], ring, strict=True):
        if (side(before) < 0) != (side(point) < 0):
            share = side(before) / (side(before) - side(point))
            found.append((edge, before[1] + share * (point[1] - before[1])))
        if side(point) >= 0:
            found.append(point)
    return found


def area(ring: Sequence[Point]) -> float:
    """Of a ring on the plane, in square units."""
    return abs(_doubled(ring)) / 2


def centre(ring: Sequence[Point]) -> Point:
    """The centre of a ring's area."""
    whole = 3 * _doubled(ring)
    crosses = list(_crosses(ring))
    x = sum((a[0] + b[0]) * cross for a, b, cross in crosses)
    y = sum((a[1] + b[1]) * cross for a, b, cross in crosses)
    return x / whole, y / whole


def _doubled(ring: Sequence[Point]) -> float:
    return sum(cross for *_, cross in _crosses(ring))


def _crosses(ring: Sequence[Point]) -> Iterator[tuple[Point, Point, float]]:
    for a, b in zip([*ring[-1:], *ring[:-1]], ring, strict=True):
        yield a, b, a[0] * b[1] - b[0] * a[1]
