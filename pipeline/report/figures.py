"""Charts of cards and reports, drawn on the axes that they are given; and charts as inline SVG.

The colours are Okabe and Ito's (2008), which the colour-blind can tell apart. An SVG names them as CSS
variables, so that a page has it in dark and in light.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.report.card import Card, HistogramBin, Probability, SampleBin, Stratum
from pipeline.report.fonts import FAMILY, load_families, make_drawable
from pipeline.warehouse.layer_axes import AXES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "ink": "#1b1f24",
    "faint": "#5c6771",
    "rule": "#d4dae0",
    "band": "#e4e8ec",
    "paper": "#ffffff",
    "blue": "#0072b2",
    "orange": "#d55e00",
    "green": "#009e73",
    "purple": "#a5568a",
}
INK, FAINT, RULE, BAND = (COLOURS[name] for name in ("ink", "faint", "rule", "band"))
BLUE, ORANGE, GREEN, PURPLE = (COLOURS[name] for name in ("blue", "orange", "green", "purple"))
DPI = 100
SMALL_PT, TEXT_PT = 8.5, 9.5
_MIN_BAR_SD = 0.1
_FAR = 0.35
"""Zero is on the axis z if it is no further from the activations than this share of their range."""
_THUMBNAIL_PX, _MIN_THUMBNAIL_PX = 52, 30
_SERIES = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "D"), (PURPLE, "^"), (FAINT, "v"))


@contextmanager
def style(interpolation: str = "auto") -> Iterator[None]:
    """Fonts, sizes and colours of everything that is drawn inside."""
    import matplotlib as mpl

    load_families()
    values: Any = {
        "font.family": [FAMILY],
        "font.size": TEXT_PT,
        "text.parse_math": False,  # a dollar in a name is a dollar
        "text.color": INK,
        "axes.edgecolor": RULE,
        "axes.facecolor": "none",
        "axes.labelcolor": FAINT,
        "axes.labelsize": SMALL_PT,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.formatter.useoffset": False,
        "xtick.color": RULE,
        "ytick.color": RULE,
        "xtick.labelcolor": FAINT,
        "ytick.labelcolor": FAINT,
        "xtick.labelsize": SMALL_PT,
        "ytick.labelsize": SMALL_PT,
        "hatch.color": RULE,
        "hatch.linewidth": 1.2,
        "image.composite_image": False,
        "image.interpolation": interpolation,
        "svg.fonttype": "none",
        "svg.hashsalt": "neurons",
    }
    with mpl.rc_context(values):
        yield


def write(axes: Axes, x: float, y: float, text: str, **more: Any) -> None:
    """Text at data coordinates, whatever its script; not clipped."""
    drawn, fonts = make_drawable(text)
    axes.text(x, y, drawn, **{"fontsize": SMALL_PT} | more | fonts)


def sd_range(card: Card) -> tuple[float, float]:
    """The axis of activations in SD: all of them, whole bins of samples, zero and mean unless far."""
    edges = [edge for b in card.histogram for edge in (b.left_sd, b.right_sd)]
    edges += [edge for b in card.samples for edge in (b.left_sd, b.right_sd)]
    reach = _FAR * (max(edges) - min(edges))
    near = (min(edges) - reach, max(edges) + reach)
    edges += [at for _, at in card.marks if near[0] <= at <= near[1] or card.axis == "sd"]
    pad = 0.02 * (max(edges) - min(edges))
    return min(edges) - pad, max(edges) + pad


def merge_bins(bins: Sequence[HistogramBin], zero_sd: float = 0.0) -> list[HistogramBin]:
    """Neighbours together until each bar is wide enough to be seen; near zero the bins are tiny."""
    merged: list[HistogramBin] = []
    for item in bins:
        last = merged[-1] if merged else None
        if (
            last
            and last.right_sd - last.left_sd < _MIN_BAR_SD
            and (last.left_sd >= zero_sd) == (item.left_sd >= zero_sd)
            and item.left_sd - last.left_sd < _MIN_BAR_SD
        ):
            count = last.example_count + item.example_count
            merged[-1] = HistogramBin(last.left_sd, item.right_sd, count)
        else:
            merged.append(item)
    return merged


def draw_histogram(axes: Axes, card: Card, limits: tuple[float, float]) -> None:
    """Images per standard deviation of activation, on a log scale: the area of a bar is its images.

    The exact zeros are a line at zero; zero and the mean are marked, or where they are if that is
    beyond the axis.

    Args:
        axes: Where.
        card: Whose activations.
        limits: The axis in SD.
    """
    from matplotlib.ticker import NullFormatter

    marks, zero_count = dict(card.marks), card.stats.zero_count
    merged = [b for b in merge_bins(card.histogram, marks["zero"]) if b.right_sd > b.left_sd]
    widths = [b.right_sd - b.left_sd for b in merged]
    heights = [b.example_count / w for b, w in zip(merged, widths, strict=True)]
    lefts = [b.left_sd for b in merged]
    axes.bar(lefts, heights, widths, align="edge", color=BLUE, edgecolor=COLOURS["paper"], lw=0.4)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else "")
    axes.yaxis.set_minor_formatter(NullFormatter())
    top = max(heights, default=1.0)
    axes.set_ylim(min(1.0, *heights) / 2 if heights else 0.5, top * 12)
    axes.set_xlim(*limits)
    at_zero = f"zero: {zero_count:,} images exactly" if zero_count else "zero"
    for name, told, colour, level in (
        ("zero", at_zero, INK, top * 4.2),
        ("mean", "mean", ORANGE, top * 1.4),
    ):
        _mark(axes, marks[name], told, colour, level, limits)
    axes.set_xlabel(f"activation, in {AXES[card.axis]}")
    axes.set_ylabel("images per SD (log)")


def _mark(
    axes: Axes, at: float, told: str, colour: str, level: float, limits: tuple[float, float]
) -> None:
    """A line at a place of the axis with its name; beyond the axis, an arrow and how far."""
    if limits[0] <= at <= limits[1]:
        axes.axvline(at, color=colour, lw=0.9, ls="-" if colour == INK else (0, (4, 2)))
        is_right = at > limits[0] + 0.7 * (limits[1] - limits[0])
        align, text = ("right", f"{told} ") if is_right else ("left", f" {told}")
        write(axes, at, level, text, ha=align, va="bottom", color=colour)
    elif at < limits[0]:
        write(axes, limits[0], level, f"← {told}: at {at:.1f}", va="bottom", color=colour)
    else:
        write(
            axes, limits[1], level, f"{told}: at {at:.1f} →", ha="right", va="bottom", color=colour
        )


def draw_samples(axes: Axes, bins: Sequence[SampleBin], limits: tuple[float, float]) -> None:
    """Sampled images above their bins of activation, a column a bin, as on the axis below.

    Bins that are too narrow for an image are drawn every so many; the caption of the chart says so
    (`sample_stride`).
    """
    width, height = _size_px(axes)
    axes.set_xlim(*limits)
    axes.set_ylim(0, height)
    axes.set_axis_off()
    scale = width / (limits[1] - limits[0])
    stride = sample_stride(bins, width, limits)
    for item in bins:
        if round(item.left_sd / (item.right_sd - item.left_sd)) % stride:
            continue
        slot = (item.right_sd - item.left_sd) * stride * scale
        columns = max(1, int(slot // _THUMBNAIL_PX))
        size = min(_THUMBNAIL_PX, slot / columns) - 3
        rows = max(1, int(height // (size + 3)))
        centre = (item.left_sd + item.right_sd) / 2
        for place, picture in enumerate(item.pictures[: columns * rows]):
            row, column = divmod(place, columns)
            in_row = min(columns, len(item.pictures[: columns * rows]) - row * columns)
            left = centre * scale + (column - in_row / 2) * (size + 3) + 1.5
            bottom = row * (size + 3) + 2
            extent = (left / scale, (left + size) / scale, bottom, bottom + size)
            axes.imshow(np.asarray(picture.image), extent=extent, aspect="auto", zorder=2)
            _frame(axes, extent, picture.is_labelled)
    axes.set_xlim(*limits)
    axes.set_ylim(0, height)


def sample_stride(bins: Sequence[SampleBin], width_px: float, limits: tuple[float, float]) -> int:
    """Every how many bins sampled images are drawn: 1, unless bins are narrower than an image."""
    if not bins:
        return 1
    slot = min(b.right_sd - b.left_sd for b in bins) * width_px / (limits[1] - limits[0])
    return max(1, math.ceil(_MIN_THUMBNAIL_PX / slot))


def _frame(axes: Axes, extent: tuple[float, float, float, float], is_labelled: bool) -> None:
    from matplotlib.patches import Rectangle

    left, right, bottom, top = extent
    colour, width = (GREEN, 2.0) if is_labelled else (RULE, 0.7)
    axes.add_patch(
        Rectangle((left, bottom), right - left, top - bottom, fill=False, ec=colour, lw=width, zorder=3)
    )  # fmt: skip


def _size_px(axes: Axes) -> tuple[float, float]:
    figure = axes.get_figure(root=True)
    assert figure is not None
    box, size = axes.get_position(), figure.get_size_inches() * DPI
    return box.width * size[0], box.height * size[1]


def draw_strata(axes: Axes, strata: Sequence[Stratum]) -> None:
    """AUROC within each form or language, from 0.5 (chance).

    Grey: what chance does. Hatched: untested. Hollow: fewer than three images decide it.
    """
    for place, item in enumerate(strata):
        write(axes, -0.02, place, item.name, ha="right", va="center", fontsize=TEXT_PT)
        if item.auroc is None:
            axes.barh(place, 1, 0.62, color="none", hatch="////", edgecolor=RULE, lw=0)
            note = f"not tested: {item.positive_count} of it"
        else:
            if item.surrogate_low is not None and item.surrogate_high is not None:
                spread = item.surrogate_high - item.surrogate_low
                axes.barh(place, spread, 0.8, item.surrogate_low, color=BAND, zorder=1)
            colour = ORANGE if item.is_failed else BLUE
            fill = COLOURS["paper"] if item.is_thin else colour
            axes.barh(place, item.auroc - 0.5, 0.44, 0.5, color=fill, ec=colour, lw=1, zorder=2)
            axes.plot(
                [item.auroc], [place], "o", color=colour, mfc=fill, ms=6, zorder=5, clip_on=False
            )
            p = "" if item.p_value is None else f", p {item.p_value:.2f}"
            failed = ", fails" if item.is_failed else ""
            only = "only " if item.is_thin else ""
            note = f"{item.auroc:.3f}, {only}{item.positive_count} of it{p}{failed}"
        is_faint = item.auroc is None or item.is_thin
        write(axes, 1.03, place, note, va="center", color=FAINT if is_faint else INK)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(strata) - 0.4, -0.6)
    axes.axvline(0.5, color=INK, lw=0.8, ls=(0, (3, 2)), zorder=4)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("AUROC within it (testing half); 0.5 is chance")


def draw_probabilities(axes: Axes, points: Sequence[Probability], axis: str = "sd") -> None:
    """P(what | activation) with Wilson's 95 % intervals, one series for each thing asked."""
    names = list(dict.fromkeys(point.what for point in points))
    for number, name in enumerate(names):
        series = [point for point in points if point.what == name]
        colour, marker = _SERIES[number % len(_SERIES)]
        width = series[0].right_sd - series[0].left_sd
        shift = (number - (len(names) - 1) / 2) * width * 0.16
        x = [(p.left_sd + p.right_sd) / 2 + shift for p in series]
        y = [p.probability for p in series]
        errors = [
            [max(0.0, p.probability - p.low) for p in series],
            [max(0.0, p.high - p.probability) for p in series],
        ]
        axes.errorbar(
            x, y, errors, color=colour, marker=marker, ms=5, lw=1.2, elinewidth=1.0, capsize=2
        )
        drawn, fonts = make_drawable(shorten(name, 60))
        place = (0.012, 1.03 + 0.075 * (len(names) - 1 - number))
        fonts = {"fontweight": "semibold"} | fonts
        axes.annotate(
            drawn,
            place,
            xycoords="axes fraction",
            color=colour,
            fontsize=TEXT_PT,
            va="bottom",
            **fonts,
        )
        if number == 0:
            for point, centre in zip(series, x, strict=True):
                write(
                    axes, centre - shift, -0.045, f"{point.sample_count}", ha="center", va="top",
                    color=FAINT, fontsize=SMALL_PT - 1,
                )  # fmt: skip
    edges = [edge for point in points for edge in (point.left_sd, point.right_sd)]
    axes.set_xlim(min(edges), max(edges))
    axes.set_ylim(-0.13, 1.02)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.grid(axis="y", color=RULE, lw=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel(f"activation, in {AXES[axis]} (numbers: images judged)")
    axes.set_ylabel("share that shows it")


def draw_bars(
    axes: Axes, names: Sequence[str], values: Sequence[float], notes: Sequence[str],
    colours: Sequence[str] = (BLUE,),
) -> None:  # fmt: skip
    """Horizontal bars from zero, first at the top, each with its name and a note at its end."""
    top = max([*values, 1e-9])
    for place, (name, value, note) in enumerate(zip(names, values, notes, strict=True)):
        axes.barh(place, value, 0.66, color=colours[place % len(colours)])
        write(
            axes, -0.012 * top, place, shorten(name, 34), ha="right", va="center", fontsize=TEXT_PT
        )
        write(axes, value + 0.012 * top, place, note, va="center", color=FAINT)
    axes.set_xlim(0, top)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)


def shorten(text: str, length: int) -> str:
    """A text on one line, cut with an ellipsis if it is longer."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
