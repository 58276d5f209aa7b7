"""A chart of two columns of an answer: bars, a line or points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from markupsafe import Markup

from pipeline.base.display import show
from pipeline.base.errors import ConfigError
from pipeline.report.figures import shorten
from pipeline.report.shapes import (
    TEXT_PX,
    Plane,
    below,
    beside,
    box,
    frame,
    path,
    px,
    svg,
    text,
    ticks,
    ticks_beside,
)

if TYPE_CHECKING:
    from pipeline.web.console import SqlAnswer

ChartKind = Literal["bar", "line", "scatter"]
KINDS: tuple[ChartKind, ...] = get_args(ChartKind)
MAX_BARS = 60
_WIDTH_PX, _HEIGHT_PX = 1000, 420
_BAR_PX, _NAME_PX, _TEXT_PX = 22, 230, 13
_NAME_CHARS = 34
_CIRCLE = "a3 3 0 1 0 6 0a3 3 0 1 0-6 0z"


def draw_answer(answer: SqlAnswer, kind: ChartKind, x: str, y: str) -> Markup:
    """Draw ``y`` over ``x``; rows in which one of them is null are left out.

    Args:
        answer: Of the console.
        kind: Bars have a name each and lie below one another; the others need two columns of numbers.
        x: Name of a column: the names of bars, or numbers.
        y: Name of a column of numbers.

    Raises:
        ConfigError: There is no such column, or nothing in it can be drawn.
    """
    for name in (x, y):
        if name not in answer.names:
            raise ConfigError(
                f"The answer has no column {name!r}.", f"Columns: {', '.join(answer.names)}."
            )
    pairs = _read_pairs(answer, x, y, needs_number=kind != "bar")
    if not pairs:
        raise ConfigError(
            f"There is nothing to draw: no row has a number in {y!r}"
            + (f" and in {x!r}." if kind != "bar" else "."),
            "Choose other columns, or bars.",
        )
    if kind == "bar":
        return _draw_bars(pairs[:MAX_BARS], y)
    return _draw_points(pairs, kind, x, y)


def is_number(value: object) -> bool:
    """Whether a value can be a place on an axis."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _read_pairs(answer: SqlAnswer, x: str, y: str, needs_number: bool) -> list[tuple[Any, float]]:
    at_x, at_y = answer.names.index(x), answer.names.index(y)
    return [
        (row[at_x], float(row[at_y]))
        for row in answer.rows
        if is_number(row[at_y])
        and (is_number(row[at_x]) if needs_number else row[at_x] is not None)
    ]


def _draw_bars(pairs: Sequence[tuple[Any, float]], y: str) -> Markup:
    height = _BAR_PX * len(pairs) + 50
    limits = _limits([0.0, *(value for _, value in pairs)])
    plane = Plane(_NAME_PX, 4, _WIDTH_PX - 70, height - 44, limits, (len(pairs) - 0.5, -0.5))
    drawn: list[str] = []
    for place, (name, value) in enumerate(pairs):
        middle, zero, end = plane.y(place), plane.x(0), plane.x(value)
        said = shorten(show(str(name)), _NAME_CHARS)
        drawn += (
            text(plane.left - 8, middle + 4, said, "ink", "end", TEXT_PX),
            box(min(zero, end), middle - 8, abs(end - zero), 16, "blue"),
            text(max(zero, end) + 6, middle + 4, f"{value:.4g}", "ink"),
        )
    return svg(_WIDTH_PX, height, *drawn, frame(plane), *ticks(plane), below(plane, y))


def _draw_points(pairs: Sequence[tuple[Any, float]], kind: ChartKind, x: str, y: str) -> Markup:
    points = [(float(at_x), at_y) for at_x, at_y in pairs]
    limits = _limits([at_x for at_x, _ in points]), _limits([at_y for _, at_y in points])
    plane = Plane(84, 10, _WIDTH_PX - 16, _HEIGHT_PX - 48, *limits)
    if kind == "line":
        through = "L".join(f"{px(plane.x(a))} {px(plane.y(b))}" for a, b in sorted(points))
        drawn = path(f"M{through}", "blue", 'stroke-width="1.5"')
    else:
        circles = (f"M{px(plane.x(a) - 3)} {px(plane.y(b))}{_CIRCLE}" for a, b in points)
        drawn = f'<path d="{"".join(circles)}" fill="var(--blue)" fill-opacity=".6"/>'
    return svg(
        _WIDTH_PX,
        _HEIGHT_PX,
        drawn,
        frame(plane),
        *ticks(plane),
        *ticks_beside(plane),
        below(plane, x),
        beside(plane, y),
    )


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """From the least to the largest, with a margin; of equal ones, some room on both sides."""
    low, high = min(values), max(values)
    margin = 0.03 * (high - low) or abs(low) / 2 or 1.0
    return low - margin, high + margin
