"""The answer as one picture: a row of panels for each image, boxes of tokens for each text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image

from pipeline.maps.panels import PANEL_PX, Scale, colour, draw_panels, share_of
from pipeline.maps.where import Place, Where
from pipeline.report.card_png import LINE_PX, MARGIN_PX, Canvas
from pipeline.report.figures import FAINT, INK, ORANGE, RULE, shorten, style

ROW_PX = PANEL_PX + 18
STEP_PX = PANEL_PX + 14
TOKEN_PX, TOKEN_STEP, TOKENS_IN_ROW = 92, 44, 13
SCALE_PX = 220
HEAD_PX = 150
TITLES = ("as the model saw it", "activation over it", "around the maximum")


def draw_where(where: Where) -> Image.Image:
    """The picture, RGB, as wide as a card."""
    heights = [_text_px(place) if place.map.tokens else ROW_PX for place in where.places]
    with style():
        canvas = Canvas(HEAD_PX + sum(heights) + MARGIN_PX)
        _head(canvas, where)
        y = float(HEAD_PX)
        for place, height in zip(where.places, heights, strict=True):
            (_draw_text if place.map.tokens else _draw_image)(canvas, y, place, where.scale)
            y += height
        if not where.places:
            canvas.write(MARGIN_PX, HEAD_PX - 20, "no examples", color=FAINT)
        canvas.agg.draw()
        pixels = np.asarray(canvas.agg.buffer_rgba())
    return Image.fromarray(pixels[..., :3].copy())


def _head(canvas: Canvas, where: Where) -> None:
    canvas.write(MARGIN_PX, 36, shorten(where.label, 60), fontsize=22, fontweight="bold")
    told = f"{where.title}  ·  {where.neuron.dataset}, run {where.neuron.run_id}"
    canvas.write(MARGIN_PX, 66, shorten(told, 150), color=FAINT)
    if where.is_random:
        canvas.write(
            MARGIN_PX, 88, "The weights are random: nothing here was learned.", color=ORANGE
        )
    draw_scale(canvas, MARGIN_PX, 104, where.scale)
    if where.places and not where.places[0].map.tokens:
        for number, title in enumerate(TITLES):
            canvas.write(MARGIN_PX + number * STEP_PX, HEAD_PX - 12, title, color=FAINT)


def draw_scale(canvas: Canvas, x: float, y: float, scale: Scale) -> None:
    """The colours, and the activations that the first and the last of them stand for."""
    strip = np.broadcast_to(colour(np.linspace(0, 1, SCALE_PX)), (10, SCALE_PX, 3))
    paste(canvas, x, y - 5, Image.fromarray(strip.astype(np.uint8)))
    low, high = scale
    told = (
        f"{low:.3g} to {high:.3g}: activation, one scale for all; without colour: {low:.3g} or less"
    )
    canvas.write(x + SCALE_PX + 12, y, told, color=FAINT)


def paste(canvas: Canvas, x: float, y: float, image: Image.Image) -> None:
    """An image, pixel by pixel, with its top left corner at (x, y)."""
    bottom = canvas.height_px - y - image.height
    canvas.figure.figimage(np.asarray(image), round(x), round(bottom), zorder=1)


def _draw_image(canvas: Canvas, y: float, place: Place, scale: Scale) -> None:
    for number, panel in enumerate(draw_panels(place, scale)):
        x = MARGIN_PX + number * STEP_PX
        if panel is None:
            canvas.write(x, y + PANEL_PX / 2, "in no patch: the class token", color=FAINT)
        else:
            paste(canvas, x, y, panel)
    x = MARGIN_PX + len(TITLES) * STEP_PX + 8
    for number, line in enumerate(describe_place(place)):
        level = y + 14 + number * LINE_PX
        more = {"fontweight": "semibold", "color": INK} if number == 0 else {"color": FAINT}
        canvas.write(x, level, line, **more)


def describe_place(place: Place) -> list[str]:
    """Lines about one image, for a person."""
    name = shorten(place.name, 70)
    lines = [name, f"activation {float(place.map.values.max()):.4g}"]
    if place.map.cell is not None and place.map.layer.grid is not None:
        (row, column), (rows, columns) = place.map.cell, place.map.layer.grid
        lines.append(f"row {row}, column {column}, counted from 0, of {rows} x {columns}")
    if place.image_frac is not None:
        x, y = place.image_frac
        lines.append(f"in the whole image {x:.0%} from the left, {y:.0%} from the top")
    return lines + textwrap.wrap(place.text, 68)[:4]


def _text_px(place: Place) -> int:
    return 34 + TOKEN_STEP * -(-len(place.map.tokens) // TOKENS_IN_ROW)


def _draw_text(canvas: Canvas, y: float, place: Place, scale: Scale) -> None:
    from matplotlib.patches import Rectangle

    told = f"{place.name}:  {' '.join(place.text.split())}"
    canvas.write(MARGIN_PX, y + 12, shorten(told, 170), fontweight="semibold")
    shares = share_of(place.map.values, scale)
    width, height = canvas.figure.get_size_inches() * canvas.figure.dpi
    for number, (token, value, share) in enumerate(
        zip(place.map.tokens, place.map.values, shares, strict=True)
    ):
        row, column = divmod(number, TOKENS_IN_ROW)
        x, top = MARGIN_PX + column * (TOKEN_PX + 6), y + 26 + row * TOKEN_STEP
        red, green, blue = _mix(float(share))
        is_peak = number == place.map.peak
        canvas.figure.add_artist(
            Rectangle(
                (x / width, 1 - (top + 36) / height),
                TOKEN_PX / width,
                36 / height,
                facecolor=(red, green, blue),
                edgecolor=INK if is_peak else RULE,
                linewidth=2.2 if is_peak else 0.8,
                zorder=0,
            )
        )
        ink = "#ffffff" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else INK
        middle = x + TOKEN_PX / 2
        canvas.write(middle, top + 11, shorten(token, 13), ha="center", color=ink)
        canvas.write(middle, top + 27, f"{value:.3g}", ha="center", color=ink)


def _mix(share: float) -> Sequence[float]:
    """The colour of a token on white paper: none of it at the beginning of the scale."""
    weight = min(1.0, 3 * share)
    return [float(v) for v in 1 - weight + weight * colour(np.asarray(share)) / 255]
