"""Charts of a neuron as inline SVG, written directly: matplotlib takes a tenth of a second for each.

They show what `figures` draws on axes, with the same limits and words; text is text, in the page's font, and
colours are the page's variables. A size in px is of the chart at its full width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from pipeline.report.card import Card, Probability, Stratum
from pipeline.report.figures import merge_bins, shorten
from pipeline.report.shapes import (
    SMALL_PX,
    TEXT_PX,
    Plane,
    below,
    beside,
    box,
    frame,
    hatch,
    path,
    px,
    svg,
    text,
    tick_below,
    ticks,
    ticks_of_powers,
)
from pipeline.warehouse.layer_axes import AXES

WIDE_PX, HALF_PX = 1120, 560

HISTOGRAM_PX = 210
HISTOGRAM_LEFT_PX, HISTOGRAM_RIGHT_PX = 64, 8
"""Beside the plane of the histogram: what stands on a bin of it knows by them where that is."""

_STRATUM_PX, _RIDGE_PX = 26, 78
_SERIES = ("blue", "orange", "green", "purple", "faint")


def histogram(card: Card, limits: tuple[float, float]) -> Markup:
    """Images per standard deviation of activation, on a log scale: the area of a bar is its images.

    Args:
        card: Whose activations; it has some.
        limits: The axis, of `figures.sd_range`.
    """
    marks = dict(card.marks)
    bins = [b for b in merge_bins(card.histogram, marks["zero"]) if b.right_sd > b.left_sd]
    heights = [b.example_count / (b.right_sd - b.left_sd) for b in bins]
    top = max(heights, default=1.0)
    low = min(1.0, *heights) / 2 if heights else 0.5
    plane = Plane(
        HISTOGRAM_LEFT_PX, 6, WIDE_PX - HISTOGRAM_RIGHT_PX, HISTOGRAM_PX - 40,
        limits, (math.log10(low), math.log10(top * 12)),
    )  # fmt: skip
    bars = "".join(
        f"M{px(plane.x(b.left_sd))} {px(plane.bottom)}V{px(plane.y(math.log10(height)))}"
        f"H{px(plane.x(b.right_sd))}V{px(plane.bottom)}Z"
        for b, height in zip(bins, heights, strict=True)
        if height > 0
    )
    zero_count = card.stats.zero_count
    at_zero = f"zero: {zero_count:,} images exactly" if zero_count else "zero"
    return svg(
        WIDE_PX,
        HISTOGRAM_PX,
        f'<path d="{bars}" fill="var(--blue)" stroke="var(--paper)" stroke-width=".4"/>',
        frame(plane),
        *ticks_of_powers(plane),
        *ticks(plane),
        _mark(plane, marks["zero"], at_zero, "ink", top * 4.2, ""),
        _mark(plane, marks["mean"], "mean", "orange", top * 1.4, "4 2"),
        below(plane, f"activation, in {AXES[card.axis]}"),
        beside(plane, "images per SD (log)"),
    )


def strata(items: Sequence[Stratum]) -> Markup:
    """AUROC within each form or language, from 0.5 (chance).

    Grey: what chance does. Hatched: untested. Hollow: fewer than three images decide it.

    Args:
        items: From the top.
    """
    height = _STRATUM_PX * len(items) + 46
    plane = Plane(120, 4, HALF_PX - 175, height - 42, (0, 1), (len(items) - 0.4, -0.6))
    rows = [_row(plane, place, item) for place, item in enumerate(items)]
    half = plane.x(0.5)
    return svg(
        HALF_PX,
        height,
        *rows,
        path(
            f"M{px(half)} {plane.top}V{plane.bottom}",
            "ink",
            'stroke-width=".8" stroke-dasharray="3 2"',
        ),
        path(f"M{plane.left} {plane.bottom}H{plane.right}", "rule"),
        *(
            tick_below(plane, value, name)
            for value, name in ((0, "0"), (0.25, ""), (0.5, "0.5"), (0.75, ""), (1, "1"))
        ),
        below(plane, "AUROC within it (testing half); 0.5 is chance"),
    )


def probabilities(points: Sequence[Probability], axis: str) -> Markup:
    """P(what | activation) with Wilson's 95 % intervals, one series for each thing asked.

    Args:
        points: At least one.
        axis: ``sd`` or ``z``.
    """
    names = list(dict.fromkeys(point.what for point in points))
    height, head = 330 + 21 * len(names), 14 + 21 * len(names)
    edges = [edge for point in points for edge in (point.left_sd, point.right_sd)]
    limits = (min(edges), max(edges))
    plane = Plane(48, head, HALF_PX - 10, height - 42, limits, (-0.13, 1.02))
    drawn: list[str] = []
    for value in (0, 0.25, 0.5, 0.75, 1):
        line = f"M{plane.left} {px(plane.y(value))}H{plane.right}"
        drawn.append(path(line, "rule", 'stroke-width=".5"'))
        drawn.append(text(plane.left - 6, plane.y(value) + 4, f"{value:g}", "faint", "end"))
    for number, name in enumerate(names):
        series = [point for point in points if point.what == name]
        colour = _SERIES[number % len(_SERIES)]
        width = series[0].right_sd - series[0].left_sd
        shift = (number - (len(names) - 1) / 2) * width * 0.16
        drawn.append(_line(plane, series, shift, colour, number))
        title = shorten(name, 60)
        drawn.append(text(plane.left, 15 + 21 * number, title, colour, size=TEXT_PX, weight=600))
        if number == 0:
            for point in series:
                x = plane.x((point.left_sd + point.right_sd) / 2)
                count = f"{point.sample_count}"
                drawn.append(text(x, plane.y(-0.045) + 8, count, "faint", "middle", SMALL_PX - 1))
    return svg(
        HALF_PX,
        height,
        frame(plane),
        *drawn,
        *ticks(plane),
        below(plane, f"activation, in {AXES[axis]} (numbers: images judged)"),
        beside(plane, "share that shows it"),
    )


def densities(points: Sequence[Probability], axis: str) -> Markup | None:
    """P(activation | what) below that of all images, a row each, every one to its own height.

    Args:
        points: As of `probabilities`.
        axis: ``sd`` or ``z``.

    Returns:
        None if nothing that is asked was seen in a sample.
    """
    shown = [point for point in points if point.activation_frac is not None]
    names = list(dict.fromkeys(point.what for point in shown))
    if not names:
        return None
    edges = [edge for point in points for edge in (point.left_sd, point.right_sd)]
    limits = (min(edges), max(edges))
    first = [point for point in shown if point.what == names[0]]
    rows = [("all images", "rule", [(p, p.overall_frac or 0.0) for p in first])]
    for number, name in enumerate(names):
        count = sum(p.category_count or 0.0 for p in shown if p.what == name)
        rows.append(
            (
                f"{shorten(name, 44)}: about {count:,.0f} images",
                _SERIES[number % len(_SERIES)],
                [(p, p.activation_frac or 0.0) for p in shown if p.what == name],
            )
        )
    bottom = 8 + _RIDGE_PX * len(rows)
    drawn: list[str] = []
    for place, (title, colour, bins) in enumerate(rows):
        base = 8 + _RIDGE_PX * (place + 1)
        top = max(frac for _, frac in bins)
        plane = Plane(12, base - _RIDGE_PX + 22, HALF_PX - 10, base, limits, (0, top))
        steps = "".join(
            f"V{px(plane.y(frac))}H{px(plane.x(p.right_sd))}"
            if p.left_sd == before
            else f"V{px(base)}H{px(plane.x(p.left_sd))}V{px(plane.y(frac))}H{px(plane.x(p.right_sd))}"
            for (p, frac), before in zip(bins, [None, *(p.right_sd for p, _ in bins)], strict=False)
        )
        outline = f"M{px(plane.x(bins[0][0].left_sd))} {px(base)}{steps}V{px(base)}"
        drawn.append(
            f'<path d="{outline}" fill="var(--{colour})" fill-opacity=".45" stroke="var(--{colour})"/>'
        )
        drawn.append(path(f"M{plane.left} {base}H{plane.right}", "rule"))
        ink = "faint" if place == 0 else colour
        drawn.append(text(plane.left, plane.top - 6, title, ink, size=TEXT_PX, weight=600))
    plane = Plane(12, 8, HALF_PX - 10, bottom, limits, (0, 1))
    return svg(
        HALF_PX, bottom + 42, *drawn, *ticks(plane), below(plane, f"activation, in {AXES[axis]}")
    )


def _row(plane: Plane, place: int, item: Stratum) -> str:
    middle = plane.y(place)
    name = text(plane.left - 7, middle + 4, shorten(item.name, 17), "ink", "end", TEXT_PX)
    if item.auroc is None:
        bar = hatch(plane.left, middle - 8, plane.right - plane.left, 16)
        note = f"not tested: {item.positive_count} of it"
        return f"{name}{bar}{text(plane.right + 11, middle + 4, note, 'faint')}"
    chance = ""
    if item.surrogate_low is not None and item.surrogate_high is not None:
        low, high = plane.x(item.surrogate_low), plane.x(item.surrogate_high)
        chance = box(low, middle - 10, high - low, 20, "band")
    colour = "orange" if item.is_failed else "blue"
    fill = "paper" if item.is_thin else colour
    at, half = plane.x(item.auroc), plane.x(0.5)
    outline = f'stroke="var(--{colour})"'
    bar = box(min(at, half), middle - 5.5, abs(at - half), 11, fill, outline)
    dot = f'<circle cx="{px(at)}" cy="{px(middle)}" r="4" fill="var(--{fill})" {outline}/>'
    p = "" if item.p_value is None else f", p {item.p_value:.2f}"
    only = "only " if item.is_thin else ""
    note = f"{item.auroc:.3f}, {only}{item.positive_count} of it{p}{', fails' if item.is_failed else ''}"
    ink = "faint" if item.is_thin else "ink"
    return f"{name}{chance}{bar}{dot}{text(plane.right + 11, middle + 4, note, ink)}"


def _line(
    plane: Plane, series: Sequence[Probability], shift: float, colour: str, number: int
) -> str:
    """Points with their intervals, and a line through them."""
    stems, through, dots = [], [], []
    for point in series:
        x = plane.x((point.left_sd + point.right_sd) / 2 + shift)
        y = plane.y(point.probability)
        low = px(plane.y(min(point.low, point.probability)))
        high = px(plane.y(max(point.high, point.probability)))
        stems.append(f"M{px(x)} {low}V{high}M{px(x - 2)} {low}h4M{px(x - 2)} {high}h4")
        through.append(f"{px(x)} {px(y)}")
        dots.append(_dot(x, y, number))
    return (
        f'<g stroke="var(--{colour})" fill="none"><path d="{"".join(stems)}"/>'
        f'<path d="M{"L".join(through)}" stroke-width="1.3"/>'
        f'<path d="{"".join(dots)}" fill="var(--{colour})" stroke="none"/></g>'
    )


def _dot(x: float, y: float, number: int) -> str:
    """A series is told by the shape of its points too, not by colour alone."""
    shapes = (
        "m-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0-6.8 0z",
        "m-3-3h6v6h-6z",
        "m0-4.2l4.2 4.2-4.2 4.2-4.2-4.2z",
        "m0-4l4 7h-8z",
        "m0 4l4-7h-8z",
    )
    return f"M{px(x)} {px(y)}{shapes[number % len(shapes)]}"


def _mark(plane: Plane, at: float, told: str, colour: str, level: float, dashes: str) -> str:
    """A line at a place of the axis with its name; beyond the axis, an arrow and how far."""
    low, high = plane.x_limits
    y = plane.y(math.log10(level))
    if not low <= at <= high:
        if at < low:
            return text(plane.left + 3, y, f"← {told}: at {at:.1f}", colour)
        return text(plane.right - 3, y, f"{told}: at {at:.1f} →", colour, "end")
    x = plane.x(at)
    is_right = at > low + 0.7 * (high - low)
    name = text(x + (-4 if is_right else 4), y, told, colour, "end" if is_right else "start")
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    line = f"M{px(x)} {plane.top}V{plane.bottom}"
    return path(line, colour, f'stroke-width=".9"{dashed}') + name
