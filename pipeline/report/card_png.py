"""A neuron's card as one picture, section below section."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.report import label_words, support_words, words
from pipeline.report.card import Card, Group
from pipeline.report.drawn import DrawnPicture, describe_drawn
from pipeline.report.figures import (
    BLUE,
    DPI,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    RULE,
    TEXT_PT,
    draw_histogram,
    draw_probabilities,
    draw_samples,
    draw_strata,
    sample_stride,
    sd_range,
    shorten,
    style,
)
from pipeline.report.fonts import make_drawable
from pipeline.report.support_words import ScoreLine
from pipeline.report.thumbnails import THUMBNAIL_PX, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL import Image

WIDTH_PX, MARGIN_PX = 1360, 40
CONTENT_PX = WIDTH_PX - 2 * MARGIN_PX
STEP_PX = 107
"""From one thumbnail to the next: twelve fill a row."""
LINE_PX = 19
STRATUM_PX = 25


class Canvas:
    """A figure in pixels, counted from its top left corner."""

    def __init__(self, height_px: int) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.height_px = height_px
        size = (WIDTH_PX / DPI, height_px / DPI)
        self.figure = Figure(figsize=size, dpi=DPI, facecolor="#ffffff")
        self.agg: Any = FigureCanvasAgg(self.figure)

    def write(self, x: float, y: float, text: str, **more: Any) -> None:
        """One line of text whose middle is at y."""
        drawn, fonts = make_drawable(text)
        place = (x / WIDTH_PX, 1 - y / self.height_px)
        more.setdefault("fontsize", TEXT_PT + 0.5)
        more.setdefault("va", "center_baseline")
        self.figure.text(*place, drawn, **(more | fonts))

    def add_axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes whose top left corner is at (x, y)."""
        left, top = x / WIDTH_PX, 1 - y / self.height_px
        size = (width / WIDTH_PX, height / self.height_px)
        return self.figure.add_axes((left, top - size[1], *size))

    def rule(self, y: float) -> None:
        """A line from margin to margin."""
        from matplotlib.lines import Line2D

        ends = (MARGIN_PX / WIDTH_PX, 1 - MARGIN_PX / WIDTH_PX)
        level = 1 - y / self.height_px
        self.figure.add_artist(Line2D(ends, (level, level), color=RULE, lw=0.8))

    def paste(self, x: float, y: float, picture: Picture) -> None:
        """A thumbnail, pixel by pixel, with its top left corner at (x, y)."""
        from matplotlib.patches import Rectangle

        bottom = self.height_px - y - THUMBNAIL_PX
        self.figure.figimage(np.asarray(picture.image), round(x), round(bottom), zorder=1)
        frame = Rectangle(
            ((x - 1) / WIDTH_PX, (bottom - 1) / self.height_px),
            (THUMBNAIL_PX + 2) / WIDTH_PX,
            (THUMBNAIL_PX + 2) / self.height_px,
            fill=False,
            edgecolor=GREEN if picture.is_labelled else RULE,
            linewidth=2.4 if picture.is_labelled else 0.8,
        )
        self.figure.add_artist(frame)


@dataclass(frozen=True)
class Block:
    """A part of the card that spans its width."""

    height_px: int
    draw: Callable[[Canvas, float], None]
    """Draws it on a canvas, from a y downwards."""


def draw_card(card: Card) -> Image.Image:
    """The card, RGB, ``WIDTH_PX`` wide and as high as it needs to be."""
    with style():
        return draw_blocks(list(_list_blocks(card)))


def draw_blocks(blocks: Sequence[Block]) -> Image.Image:
    """Parts one below the other, RGB, ``WIDTH_PX`` wide; in the :func:`~pipeline.report.figures.style`."""
    from PIL import Image

    height = sum(block.height_px for block in blocks) + 2 * 24
    canvas = Canvas(height)
    y = 24.0
    for block in blocks:
        block.draw(canvas, y)
        y += block.height_px
    canvas.agg.draw()
    pixels = np.asarray(canvas.agg.buffer_rgba())
    return Image.fromarray(pixels[..., :3].copy())


def _list_blocks(card: Card) -> Iterator[Block]:
    yield _header(card)
    yield _evidence(card)
    yield _heading(words.TITLES["support"], support_words.describe_support(card.support))
    if card.support is not None:
        yield _support(support_words.list_scores(card.support))
    for name, polarity, pictures in (
        ("top", "positive", card.top),
        ("bottom", "negative", card.bottom),
    ):
        yield _heading(words.TITLES[name], words.describe_examples(card, polarity))
        if pictures:
            yield _strip(pictures)
        if card.tower == "text" and pictures:
            yield _lines(words.list_texts(pictures))
    if card.drawn:
        yield _heading(words.TITLES["drawn"], describe_drawn(card.drawn))
        yield _drawn(card.drawn)
    yield from _distribution(card)
    yield _tests(card)
    yield _heading(words.TITLES["groups"], words.describe_clarity(card))
    if len(card.groups) > 1:
        for first in range(0, len(card.groups), 2):
            yield _groups(card.groups[first : first + 2], first + 1)
    yield _heading(words.TITLES["contrasting"], words.describe_contrasting(card))
    if card.contrasting:
        yield _strip(card.contrasting)
    yield _heading(words.TITLES["glossary"], "a sentence each")
    yield _lines([f"{name}: {told}" for name, told in words.list_glossary(card)])


def _header(card: Card) -> Block:
    notes = words.card_notes(card)

    def draw(canvas: Canvas, y: float) -> None:
        title = shorten(words.card_title(card), 60)
        colour = INK if card.label.is_labelled else FAINT
        canvas.write(MARGIN_PX, y + 26, title, fontsize=27, fontweight="bold", color=colour)
        canvas.write(MARGIN_PX, y + 62, words.card_subtitle(card), fontsize=13, color=FAINT)
        canvas.write(MARGIN_PX, y + 88, words.card_place(card), fontsize=11)
        for number, note in enumerate(notes):
            canvas.write(MARGIN_PX, y + 112 + number * LINE_PX, note, color=ORANGE)

    return Block(104 + LINE_PX * len(notes), draw)


def _evidence(card: Card) -> Block:
    facts, methods = label_words.label_facts(card.label), label_words.label_methods(card.label)
    half = MARGIN_PX + CONTENT_PX // 2 + 20

    def draw(canvas: Canvas, y: float) -> None:
        canvas.rule(y + 8)
        canvas.write(MARGIN_PX, y + 30, "Evidence", fontsize=12, fontweight="semibold")
        if not facts:
            canvas.write(
                MARGIN_PX, y + 58, "No concept was chosen on the screening half.", color=FAINT
            )
        for number, (name, value) in enumerate(facts):
            level = y + 58 + number * LINE_PX
            canvas.write(MARGIN_PX, level, name, color=FAINT)
            canvas.write(MARGIN_PX + 190, level, shorten(value, 68), fontweight="semibold")
        told = label_words.describe_agreement(card.label)
        canvas.write(half, y + 30, told, fontsize=12, fontweight="semibold")
        for number, method in enumerate(methods):
            level = y + 58 + number * LINE_PX
            canvas.write(half, level, method.name, color=FAINT)
            agreed = {True: ("agrees", BLUE), False: ("differs", ORANGE), None: ("", FAINT)}
            mark, colour = agreed[method.is_agreeing]
            canvas.write(half + 240, level, shorten(method.choice, 38), fontweight="semibold")
            canvas.write(half + 470, level, mark, color=colour)

    return Block(52 + LINE_PX * max(len(facts), len(methods), 1), draw)


def _support(lines: Sequence[ScoreLine]) -> Block:
    """A table of scores."""
    ends = (230, 330, 450, 550)  # where a column of numbers ends
    outcomes = {True: BLUE, False: ORANGE, None: FAINT}

    def draw(canvas: Canvas, y: float) -> None:
        for heading, end in zip(support_words.HEADINGS[1:4], ends[1:], strict=True):
            canvas.write(MARGIN_PX + end, y + 6, heading, color=FAINT, ha="right")
        for number, line in enumerate(lines, 1):
            level = y + 6 + number * LINE_PX
            canvas.write(MARGIN_PX, level, line.name)
            values = ((line.value, "semibold"), (line.other, "normal"), (line.permuted, "normal"))
            for (told, weight), end in zip(values, ends[1:], strict=True):
                canvas.write(MARGIN_PX + end, level, told, ha="right", fontweight=weight)
            canvas.write(MARGIN_PX + 580, level, line.outcome, color=outcomes[line.is_supporting])
            canvas.write(MARGIN_PX + 690, level, shorten(line.meaning, 100), color=FAINT)

    return Block(16 + LINE_PX * (len(lines) + 1), draw)


def _heading(title: str, told: str) -> Block:
    def draw(canvas: Canvas, y: float) -> None:
        canvas.rule(y + 10)
        canvas.write(MARGIN_PX, y + 31, title, fontsize=12, fontweight="semibold")
        canvas.write(MARGIN_PX, y + 52, shorten(told, 190), color=FAINT)

    return Block(72, draw)


def _drawn(pictures: Sequence[DrawnPicture]) -> Block:
    """A row of pictures that the neuron drew, without the frames of images."""

    def draw(canvas: Canvas, y: float) -> None:
        for place, picture in enumerate(pictures):
            x = MARGIN_PX + 1 + place * STEP_PX
            bottom = canvas.height_px - y - THUMBNAIL_PX
            pixels = np.asarray(picture.image(THUMBNAIL_PX))
            canvas.figure.figimage(pixels, round(x), round(bottom), zorder=1)
            for line, text in enumerate((picture.name, picture.caption)):
                level = y + THUMBNAIL_PX + 12 + line * LINE_PX
                canvas.write(x, level, shorten(text, 16), color=FAINT)

    return Block(THUMBNAIL_PX + 2 * LINE_PX + 8, draw)


def _groups(groups: Sequence[Group], first: int) -> Block:
    """Two groups side by side."""

    def draw(canvas: Canvas, y: float) -> None:
        for place, group in enumerate(groups):
            x = MARGIN_PX + 1 + place * (CONTENT_PX // 2 + 19)
            canvas.write(x, y + 8, shorten(words.describe_group(first + place, group), 90))
            for number, picture in enumerate(group.pictures):
                canvas.paste(x + number * STEP_PX, y + 24, picture)

    return Block(THUMBNAIL_PX + 38, draw)


def _strip(pictures: Sequence[Picture]) -> Block:
    captioned = any(picture.caption for picture in pictures)

    def draw(canvas: Canvas, y: float) -> None:
        for number, picture in enumerate(pictures):
            x = MARGIN_PX + 1 + number * STEP_PX
            canvas.paste(x, y + 2, picture)
            middle = x + THUMBNAIL_PX / 2
            canvas.write(middle, y + THUMBNAIL_PX + 14, picture.caption, ha="center", color=FAINT)

    return Block(THUMBNAIL_PX + (30 if captioned else 14), draw)


def _lines(texts: Sequence[str]) -> Block:
    """A text a line, cut where the card ends."""

    def draw(canvas: Canvas, y: float) -> None:
        for number, text in enumerate(texts):
            canvas.write(MARGIN_PX, y + 10 + number * LINE_PX, shorten(text, 190))

    return Block(LINE_PX * len(texts) + 8, draw)


def _distribution(card: Card) -> Iterator[Block]:
    limits = sd_range(card) if card.histogram else (0.0, 0.0)
    left, right = MARGIN_PX + 56, 6
    width = WIDTH_PX - left - MARGIN_PX - right
    stride = sample_stride(card.samples, width, limits) if card.histogram else 1
    yield _heading(words.TITLES["histogram"], words.describe_histogram(card, stride))
    if not card.histogram:
        return
    above = 168 if card.samples else 0

    def draw(canvas: Canvas, y: float) -> None:
        if card.samples:
            draw_samples(canvas.add_axes(left, y, width, above), card.samples, limits)
        axes = canvas.add_axes(left, y + above + 4, width, 150)
        draw_histogram(axes, card, limits)

    yield Block(above + 150 + 50, draw)


def _tests(card: Card) -> Block:
    """The Halle Berry test on the left, P(category | activation) on the right."""
    groups = words.group_strata(card.halle_berry)
    told = [
        line
        for text in words.describe_test(card.halle_berry, card.tower)
        for line in textwrap.wrap(text, 92)
    ]
    half = MARGIN_PX + CONTENT_PX // 2 + 20
    strata_px = sum(48 + STRATUM_PX * len(items) for _, items in groups) + 30 * bool(groups)
    left_px = 50 + LINE_PX * len(told) + strata_px
    names = len({point.what for point in card.probabilities})
    right_px = 72 + (26 + 21 * names + 270 + 44 if names else 0)

    def draw(canvas: Canvas, y: float) -> None:
        canvas.rule(y + 10)
        canvas.write(MARGIN_PX, y + 31, words.TITLES["facets"], fontsize=12, fontweight="semibold")
        for number, line in enumerate(told):
            canvas.write(MARGIN_PX, y + 54 + number * LINE_PX, line, color=FAINT)
        level = y + 56 + LINE_PX * len(told)
        for title, items in groups:
            canvas.write(MARGIN_PX, level + 8, title, fontweight="semibold")
            axes = canvas.add_axes(MARGIN_PX + 130, level + 22, 310, STRATUM_PX * len(items))
            draw_strata(axes, items)
            if title != groups[-1][0]:
                axes.set_xlabel("")
                axes.set_xticklabels([])
            level += 48 + STRATUM_PX * len(items)
        canvas.write(half, y + 31, words.TITLES["probability"], fontsize=12, fontweight="semibold")
        canvas.write(half, y + 54, words.describe_probabilities(card), color=FAINT)
        if card.probabilities:
            axes = canvas.add_axes(half + 46, y + 76 + 21 * names, CONTENT_PX // 2 - 72, 270)
            draw_probabilities(axes, card.probabilities, card.axis)

    return Block(max(left_px, right_px) + 8, draw)
