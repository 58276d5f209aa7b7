"""A chart of two columns of an answer: bars, a line or points."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

from markupsafe import Markup

from pipeline.base.display import show
from pipeline.base.errors import ConfigError
from pipeline.report.figures import BLUE, write
from pipeline.report.svg import draw_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pipeline.web.console import SqlAnswer

ChartKind = Literal["bar", "line", "scatter"]
KINDS: tuple[ChartKind, ...] = get_args(ChartKind)
MAX_BARS = 60
_WIDTH_PX, _BAR_PX, _NAME_PX = 1000, 22, 230
_NAME_CHARS = 34
_DRAWING = threading.Lock()
"""Matplotlib's settings are the process's own."""


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
        pairs = pairs[:MAX_BARS]
        height = _BAR_PX * len(pairs) + 50
        draw = partial(_draw_bars, pairs=pairs, y=y)
        return _draw(height, (_NAME_PX, 70, 4, 44), draw)
    draw = partial(_draw_points, pairs=pairs, kind=kind, x=x, y=y)
    return _draw(420, (80, 16, 10, 48), draw)


def _draw(height_px: int, margins: Sequence[float], draw: Callable[[Axes], None]) -> Markup:
    with _DRAWING:
        return Markup(draw_svg(_WIDTH_PX, height_px, margins, draw))


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


def _draw_bars(axes: Axes, pairs: Sequence[tuple[Any, float]], y: str) -> None:
    values = [value for _, value in pairs]
    axes.barh(range(len(pairs)), values, color=BLUE, height=0.72)
    axes.set_ylim(len(pairs) - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xlabel(show(y))
    axes.margins(x=0.02)
    left = axes.get_xlim()[0]
    for row, (name, value) in enumerate(pairs):
        text = show(str(name))
        if len(text) > _NAME_CHARS:
            text = text[: _NAME_CHARS - 1] + "…"
        write(
            axes, left, row, f"{text}\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}", ha="right", va="center"
        )
        write(axes, max(value, 0.0), row, f"\N{NO-BREAK SPACE}{value:.4g}", ha="left", va="center")


def _draw_points(
    axes: Axes, pairs: Sequence[tuple[Any, float]], kind: ChartKind, x: str, y: str
) -> None:
    xs, ys = [float(pair[0]) for pair in pairs], [pair[1] for pair in pairs]
    if kind == "line":
        order = sorted(range(len(xs)), key=xs.__getitem__)
        axes.plot([xs[i] for i in order], [ys[i] for i in order], color=BLUE, linewidth=1.5)
    else:
        axes.scatter(xs, ys, s=14, color=BLUE, alpha=0.6, linewidths=0)
    axes.set_xlabel(show(x))
    axes.set_ylabel(show(y))
