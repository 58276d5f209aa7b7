"""The answer as one picture: the image and what it is taken for, the suspicion, and each layer's neurons."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pipeline.look import words
from pipeline.look.overlay import draw_map, draw_region
from pipeline.report.card_png import (
    CONTENT_PX,
    LINE_PX,
    MARGIN_PX,
    STEP_PX,
    Block,
    Canvas,
    draw_blocks,
)
from pipeline.report.figures import FAINT, INK, ORANGE, RULE, draw_bars, shorten, style
from pipeline.report.thumbnails import THUMBNAIL_PX, Picture

if TYPE_CHECKING:
    from pipeline.look.excited import Excited, LayerFound
    from pipeline.look.look import Look

IMAGE_PX, REGION_PX = 264, 150
BAR_PX = 30
ANSWERS_X = MARGIN_PX + IMAGE_PX + 36
ANSWERS_PX = 400
SUSPICION_X = ANSWERS_X + ANSWERS_PX + 44
SUSPICION_CHARACTERS = 84
STRIP_X = MARGIN_PX + CONTENT_PX - 7 * STEP_PX - THUMBNAIL_PX - 1
ROW_PX = THUMBNAIL_PX + 16


def draw_look(look: Look) -> Image.Image:
    """The picture, RGB, as wide as a card and as high as it needs to be."""
    with style():
        return draw_blocks(list(_list_blocks(look)))


def _list_blocks(look: Look) -> Iterator[Block]:
    yield _header(look)
    yield _answers(look)
    for layer in look.layers:
        yield _heading(layer.layer.name, words.describe_layer(layer))
        for neuron in layer.neurons:
            yield Block(ROW_PX, partial(_draw_neuron, look=look, neuron=neuron))
        if layer.alike:
            yield Block(ROW_PX + 8, partial(_draw_alike, look=look, layer=layer))


def _header(look: Look) -> Block:
    notes = words.list_notes(look)

    def draw(canvas: Canvas, y: float) -> None:
        canvas.write(MARGIN_PX, y + 22, shorten(look.name, 60), fontsize=24, fontweight="bold")
        canvas.write(MARGIN_PX, y + 54, shorten(words.describe_run(look), 150), color=FAINT)
        for number, note in enumerate(notes):
            canvas.write(MARGIN_PX, y + 76 + number * LINE_PX, note, color=ORANGE)

    return Block(76 + LINE_PX * len(notes), draw)


def _answers(look: Look) -> Block:
    """The image, what it is taken for, and beside both the suspicion."""
    lines = _wrap(words.describe_suspicion(look.suspicion)[1:], SUSPICION_CHARACTERS)
    has_region = look.suspicion.level in ("suspected", "agreed")
    panels_px = REGION_PX + 44 if has_region else 0
    right_px = 56 + LINE_PX * len(lines) + panels_px
    bars_px = 62 + BAR_PX * len(look.answers)

    def draw(canvas: Canvas, y: float) -> None:
        image = look.seen.image.copy()
        image.thumbnail((IMAGE_PX, IMAGE_PX), Image.Resampling.LANCZOS)
        paste(canvas, MARGIN_PX, y + 12, image)
        canvas.write(MARGIN_PX, y + 12 + image.height + 16, "as the model saw it", color=FAINT)
        _title(canvas, ANSWERS_X, y + 20, "What the model takes it for")
        canvas.write(ANSWERS_X, y + 42, shorten(f"of {look.chosen_from}", 68), color=FAINT)
        axes = canvas.add_axes(
            ANSWERS_X + 150, y + 58, ANSWERS_PX - 200, BAR_PX * len(look.answers)
        )
        names, values = zip(*look.answers, strict=True)
        draw_bars(
            axes,
            [shorten(name, 22) for name in names],
            values,
            list(map(words.describe_share, values)),
        )
        axes.set_xlim(0, 1)
        head = words.describe_suspicion(look.suspicion)[0]
        is_alarm = look.suspicion.level == "suspected"
        _title(canvas, SUSPICION_X, y + 20, head, color=ORANGE if is_alarm else INK)
        for number, line in enumerate(lines):
            canvas.write(SUSPICION_X, y + 46 + number * LINE_PX, line)
        if has_region:
            _draw_regions(canvas, y + 52 + LINE_PX * len(lines), look)

    return Block(round(max(IMAGE_PX + 48, bars_px, right_px)) + 8, draw)


def _draw_regions(canvas: Canvas, y: float, look: Look) -> None:
    for number, (picture, title) in enumerate(draw_region(look, REGION_PX)):
        x = SUSPICION_X + number * (REGION_PX + 24)
        paste(canvas, x, y, picture)
        canvas.write(x, y + REGION_PX + 16, shorten(title, 30), color=FAINT)


def _heading(title: str, told: str) -> Block:
    def draw(canvas: Canvas, y: float) -> None:
        canvas.rule(y + 10)
        _title(canvas, MARGIN_PX, y + 31, title)
        canvas.write(MARGIN_PX, y + 52, shorten(told, 190), color=FAINT)

    return Block(72, draw)


def _draw_neuron(canvas: Canvas, y: float, *, look: Look, neuron: Excited) -> None:
    """Its map over the image, what it stands for, and the images of the run that excite it most."""
    picture = draw_map(look.seen, neuron, THUMBNAIL_PX)
    if picture is None:
        canvas.write(MARGIN_PX, y + THUMBNAIL_PX / 2, "no places", color=FAINT)
    else:
        paste(canvas, MARGIN_PX, y, picture)
    x = MARGIN_PX + THUMBNAIL_PX + 20
    colour = INK if neuron.is_labelled else FAINT
    head, *lines = words.describe_neuron(neuron)
    canvas.write(x, y + 22, shorten(head, 34), fontsize=12, fontweight="semibold", color=colour)
    for number, line in enumerate(lines):
        canvas.write(x, y + 46 + number * LINE_PX, shorten(line, 48), color=FAINT)
    _draw_strip(canvas, y, [look.pictures[i] for i in neuron.example_ids])


def _draw_alike(canvas: Canvas, y: float, *, look: Look, layer: LayerFound) -> None:
    for number, line in enumerate(_wrap([words.ALIKE], 58)):
        canvas.write(MARGIN_PX, y + 30 + number * LINE_PX, line, color=FAINT)
    _draw_strip(canvas, y + 4, [look.pictures[i] for i in layer.alike])


def _draw_strip(canvas: Canvas, y: float, pictures: Sequence[Picture]) -> None:
    for number, picture in enumerate(pictures):
        canvas.paste(STRIP_X + number * STEP_PX, y, picture)


def _title(canvas: Canvas, x: float, y: float, text: str, color: str = INK) -> None:
    canvas.write(x, y, text, fontsize=12, fontweight="semibold", color=color)


def _wrap(texts: Sequence[str], characters: int) -> list[str]:
    return [line for text in texts for line in textwrap.wrap(text, characters)]


def paste(canvas: Canvas, x: float, y: float, image: Image.Image) -> None:
    """An image, pixel by pixel, in a thin frame, with its top left corner at (x, y)."""
    from matplotlib.patches import Rectangle

    bottom = canvas.height_px - y - image.height
    canvas.figure.figimage(np.asarray(image), round(x), round(bottom), zorder=1)
    width, height = canvas.figure.get_size_inches() * canvas.figure.dpi
    frame = Rectangle(
        ((round(x) - 1) / width, (round(bottom) - 1) / height),
        (image.width + 2) / width,
        (image.height + 2) / height,
        fill=False,
        edgecolor=RULE,
        linewidth=0.8,
    )
    canvas.figure.add_artist(frame)
