"""What charts of pages are drawn with: a plane of data, axes and shapes, as text of SVG.

Text is text, in the page's font; colours are named, and are the page's variables. Sizes in px are of a chart
at its full width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from markupsafe import Markup, escape

from pipeline.base.display import show

SMALL_PX, TEXT_PX = 12, 13
_STEPS = (1, 2, 2.5, 5, 10)


class Plane(NamedTuple):
    """Where data lie on a chart: a box in px, and the data at its edges."""

    left: float
    top: float
    right: float
    bottom: float
    x_limits: tuple[float, float]
    y_limits: tuple[float, float]
    """Of the bottom and of the top."""

    def x(self, value: float) -> float:
        """From the left of the chart, px."""
        low, high = self.x_limits
        return self.left + (self.right - self.left) * (value - low) / (high - low)

    def y(self, value: float) -> float:
        """From the top of the chart, px."""
        low, high = self.y_limits
        return self.bottom - (self.bottom - self.top) * (value - low) / (high - low)


def frame(plane: Plane) -> str:
    """The axes at the left and below."""
    return path(f"M{plane.left} {plane.top}V{plane.bottom}H{plane.right}", "rule")


def ticks(plane: Plane) -> Iterable[str]:
    """Round numbers below."""
    for value, name in _round_values(plane.x_limits, (plane.right - plane.left) / 72):
        yield tick_below(plane, value, name)


def ticks_beside(plane: Plane) -> Iterable[str]:
    """Round numbers at the left."""
    for value, name in _round_values(plane.y_limits, (plane.bottom - plane.top) / 40):
        y = plane.y(value)
        yield path(f"M{plane.left} {px(y)}h-4", "rule")
        yield text(plane.left - 7, y + 4, name, "faint", "end")


def _round_values(limits: tuple[float, float], count: float) -> Iterator[tuple[float, str]]:
    """About so many round numbers within limits, and how they are written."""
    low, high = limits
    step = round_step((high - low) / max(2, count))
    first = math.ceil(low / step - 1e-9)
    for number in range(first, math.floor(high / step + 1e-9) + 1):
        value = number * step
        yield value, f"{value:.10g}".replace("-", "\N{MINUS SIGN}")


def round_step(least: float) -> float:
    """The least of 1, 2, 2.5, 5 times a power of ten that is not below a number."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in _STEPS if step * power >= least * (1 - 1e-9))


def tick_below(plane: Plane, value: float, name: str) -> str:
    """A tick at a value, and its name."""
    x = plane.x(value)
    line = path(f"M{px(x)} {plane.bottom}v4", "rule")
    return line + (text(x, plane.bottom + 17, name, "faint", "middle") if name else "")


def ticks_of_powers(plane: Plane) -> Iterable[str]:
    """Powers of ten from 1 at the left, as many as have room."""
    low, high = math.ceil(plane.y_limits[0]), math.floor(plane.y_limits[1])
    stride = max(1, math.ceil((high - low + 1) / 8))
    for power in range(low, high + 1):
        y = plane.y(power)
        yield path(f"M{plane.left} {px(y)}h-4", "rule")
        if power >= 0 and power % stride == 0:
            yield text(plane.left - 7, y + 4, f"{10**power:,}", "faint", "end")


def below(plane: Plane, title: str) -> str:
    """What the axis below is of."""
    return text((plane.left + plane.right) / 2, plane.bottom + 35, title, "faint", "middle")


def beside(plane: Plane, title: str) -> str:
    """What the axis at the left is of."""
    y = (plane.top + plane.bottom) / 2
    return (
        f'<text x="12" y="{px(y)}" transform="rotate(-90 12 {px(y)})" text-anchor="middle" '
        f'fill="var(--faint)">{escape(show(title))}</text>'
    )


def path(line: str, colour: str, more: str = "") -> str:
    """A line: ``d`` of a path, the name of its colour, and further attributes."""
    return f'<path d="{line}" fill="none" stroke="var(--{colour})" {more}/>'


def box(x: float, y: float, width: float, height: float, fill: str, more: str = "") -> str:
    """A rectangle by its top left corner, filled with a named colour."""
    return (
        f'<rect x="{px(x)}" y="{px(y)}" width="{px(width)}" height="{px(height)}" '
        f'fill="var(--{fill})" {more}/>'
    )


def hatch(x: float, y: float, width: float, height: float) -> str:
    """Slanting lines in place of a rectangle."""
    lines = (f"M{px(x + at)} {px(y + height)}l8-{px(height)}" for at in range(0, int(width) - 7, 6))
    return path("".join(lines), "rule")


def text(
    x: float, y: float, said: str, colour: str, anchor: str = "start", size: int = SMALL_PX, weight: int = 0,
) -> str:  # fmt: skip
    """Text of users too: shown, and escaped."""
    more = "" if anchor == "start" else f' text-anchor="{anchor}"'
    more += "" if size == SMALL_PX else f' font-size="{size}"'
    more += f' font-weight="{weight}"' if weight else ""
    return f'<text x="{px(x)}" y="{px(y)}" fill="var(--{colour})"{more}>{escape(show(said))}</text>'


def px(value: float) -> str:
    """A number of px, short."""
    return f"{value:.1f}".removesuffix(".0")


def svg(width: float, height: float, *parts: str) -> Markup:
    """A chart of a size in px, which the page scales; what it shows is told beside it in words."""
    return Markup(
        f'<svg aria-hidden="true" viewBox="0 0 {width} {height}" font-size="{SMALL_PX}">'
        f"{''.join(parts)}</svg>"
    )
