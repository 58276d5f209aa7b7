"""Charts that several sections have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from pipeline.report.figures import shorten
from pipeline.report.shapes import TEXT_PX, Plane, path, px, svg, text, tick_below

SHARES_PX = 620
"""Width of `draw_shares`."""
SHARES_KEY = (
    "Dot and line: here, with its 95% interval; diamond: published; upright line: the control."
)
"""What its marks are."""
_ROW_PX, _NAME_PX, _NOTE_PX = 24, 200, 70


class Share(NamedTuple):
    """A share of 0 to 1, with what stands beside it; None where there is none."""

    name: str
    frac: float | None
    low: float | None = None
    high: float | None = None
    published: float | None = None
    control: float | None = None


def draw_shares(shares: Sequence[Share], top: float = 1) -> Markup:
    """Shares with their 95 % intervals, each beside the published one and its control.

    Args:
        shares: From the top; none is above `top`.
        top: The end of the axis.
    """
    height = _ROW_PX * len(shares) + 34
    plane = Plane(
        _NAME_PX, 4, SHARES_PX - _NOTE_PX, height - 30, (0, top), (len(shares) - 0.5, -0.5)
    )
    scale = [
        path(f"M{px(plane.x(at))} {plane.top}V{plane.bottom}", "rule", 'stroke-width=".5"')
        + tick_below(plane, at, f"{100 * at:.3g}%")
        for at in (0, top / 4, top / 2, 3 * top / 4, top)
    ]
    rows = [_row(plane, plane.y(place), share) for place, share in enumerate(shares)]
    return svg(SHARES_PX, height, *scale, *rows)


def _row(plane: Plane, y: float, share: Share) -> str:
    parts = [text(plane.left - 10, y + 4, shorten(share.name, 30), "ink", "end", TEXT_PX)]
    if share.control is not None:
        x = px(plane.x(share.control))
        parts.append(path(f"M{x} {px(y - 9)}v18", "faint", 'stroke-width="2"'))
    if share.published is not None:
        x = px(plane.x(share.published))
        parts.append(path(f"M{x} {px(y - 6)}l6 6l-6 6l-6-6z", "orange", 'stroke-width="1.6"'))
    if share.frac is not None:
        if share.low is not None and share.high is not None:
            line = f"M{px(plane.x(share.low))} {px(y)}H{px(plane.x(share.high))}"
            parts.append(path(line, "blue", 'stroke-width="3" opacity=".45"'))
        parts.append(
            f'<circle cx="{px(plane.x(share.frac))}" cy="{px(y)}" r="4.5" fill="var(--blue)"/>'
        )
        parts.append(text(plane.right + 12, y + 4, f"{share.frac:.1%}", "ink", size=TEXT_PX))
    return "".join(parts)
