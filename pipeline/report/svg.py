"""Charts as inline SVG: real text, the page's colours, ids that no other chart has."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipeline.report.figures import COLOURS, DPI, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_svg(width_px: int, height_px: int, margins: Sequence[float], *draws: Callable[[Axes], None],
             heights: Sequence[float] = (1,)) -> str:  # fmt: skip
    """A chart as inline SVG: axes one below the other, in a figure of a size.

    Args:
        width_px: Width at which it is as legible as the text around.
        height_px: Height.
        margins: Left, right, top and bottom, in px.
        draws: What draws on each axes, from the top.
        heights: Share of the height of each.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    left, right, top, bottom = margins
    with style(interpolation="none"):
        figure = Figure(figsize=(width_px / DPI, height_px / DPI), dpi=DPI, facecolor="none")
        FigureCanvasSVG(figure)
        y, total = height_px - top, height_px - top - bottom
        for draw, share in zip(draws, heights, strict=True):
            height = total * share / sum(heights)
            y -= height
            box = (
                left / width_px,
                y / height_px,
                1 - (left + right) / width_px,
                height / height_px,
            )
            axes = figure.add_axes(box)
            draw(axes)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return _make_inline(file.getvalue())


def _make_inline(svg: str) -> str:
    """Without prolog and metadata; colours as CSS variables; ids that no other chart has.

    And without its style sheet, which the page has, so that one policy fits all pages.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    mark = "c" + hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{mark}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{mark}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{mark}-\1)", svg)
    for name, value in COLOURS.items():
        svg = svg.replace(value, f"var(--{name})")
    # A browser that lacks the font would take one with serifs.
    svg = re.sub(r"(\bfont(?:-family)?: [^;\"]*'[^;\"]*)", r"\1, sans-serif", svg)
    # 100 px of a figure are 72 points; the page decides the size
    return re.sub(r'(<svg [^>]*?) ?width="[^"]*"', r"\1", svg, count=1).replace(
        "<svg ", '<svg aria-hidden="true" ', 1
    )
