"""Concepts on the parts of an atlas: two as a plane, more as a grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.report.figures import shorten
from pipeline.report.shapes import (
    Plane,
    below,
    beside,
    box,
    frame,
    path,
    px,
    round_step,
    svg,
    text,
    ticks,
)

PLANE_PX = 760
_HEIGHT_PX, _LINE_PX = 480, 13
_CELL_PX, _ROW_PX, _SIDE_PX, _HEAD_PX = 44, 18, 130, 24

Floats = np.ndarray[Any, np.dtype[np.float64]]


def draw_plane(places: Mapping[str, Floats], heads: Sequence[str]) -> Markup:
    """Each concept at its place, named; names that would lie on each other are moved, with a line to the place.

    Args:
        places: By concept, ``[2]``, 0 or more.
        heads: What each part is.
    """
    x_most, y_most = (max(at[n] for at in places.values()) * 1.04 or 1.0 for n in (0, 1))
    plane = Plane(46, 8, PLANE_PX - 110, _HEIGHT_PX - 44, (0, x_most), (0, y_most))
    drawn: list[str] = []
    taken = [(plane.x(x) - 4, plane.x(x) + 4, plane.y(y) + 4) for x, y in places.values()]
    step = round_step(y_most / 6)
    heights = [n * step for n in range(1, math.floor(y_most / step) + 1)]
    drawn += [text(plane.left - 6, plane.y(at) + 4, f"{at:g}", "faint", "end") for at in heights]
    for name, at in sorted(places.items(), key=lambda one: (-one[1][1], one[0])):
        x, y = plane.x(float(at[0])), plane.y(float(at[1]))
        said = shorten(name, 18)
        width = 6.6 * len(said)
        place = y + 4
        while any(abs(place - other) < _LINE_PX and left < x + 8 + width and x + 8 < right
                  for left, right, other in taken):  # fmt: skip
            place += 2
        taken.append((x + 8, x + 8 + width, place))
        if place > y + 8:
            drawn.append(path(f"M{px(x)} {px(y)}L{px(x + 7)} {px(place - 4)}", "rule"))
        drawn.append(f'<circle cx="{px(x)}" cy="{px(y)}" r="3" fill="var(--blue)"/>')
        drawn.append(text(x + 8, place, said, "ink"))
    deepest = max([plane.bottom, *(place for *_, place in taken)])
    return svg(
        PLANE_PX,
        max(_HEIGHT_PX, round(deepest) + 8),
        frame(plane),
        *ticks(plane),
        below(plane, f"part of {shorten(heads[0], 60)}"),
        beside(plane, f"part of {shorten(heads[1], 44)}"),
        *drawn,
    )


def draw_grid(places: Mapping[str, Floats]) -> tuple[Markup, int]:
    """A row for each concept, a column for each part (A, B, ...), the rows of a part together; and its width.

    Args:
        places: By concept, ``[K]``, 0 or more.
    """
    rows = sorted(places.items(), key=lambda one: (int(np.argmax(one[1])), -max(one[1]), one[0]))
    most = max(float(at.max()) for at in places.values()) or 1.0
    count = len(rows[0][1])
    parts = [
        text(_SIDE_PX + (n + 0.5) * _CELL_PX, _HEAD_PX - 8, chr(65 + n), "faint", "middle")
        for n in range(count)
    ]
    for row, (name, at) in enumerate(rows):
        y = _HEAD_PX + row * _ROW_PX
        parts.append(text(_SIDE_PX - 8, y + 13, shorten(name, 18), "ink", "end"))
        for column, value in enumerate(at.tolist()):
            shade = f'fill-opacity="{value / most:.2f}" stroke="var(--rule)" stroke-width=".4"'
            parts.append(box(_SIDE_PX + column * _CELL_PX, y, _CELL_PX, _ROW_PX, "blue", shade))
    width = _SIDE_PX + count * _CELL_PX + 8
    return svg(width, _HEAD_PX + len(rows) * _ROW_PX + 4, *parts), width
