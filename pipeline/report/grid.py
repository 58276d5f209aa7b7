"""Pictures: a table of images. Names of the columns stand once, above; each row says at its left what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from pipeline.report.contact_sheet import (
    FAINT,
    INK,
    MARGIN_PX,
    PAPER,
    RULE,
    SMALL_PX,
    TEXT_PX,
    cut,
    drawable,
    load_font,
)
from pipeline.warehouse.images import make_thumbnail

RIGHT, WRONG = "#00734f", "#c81e1e"
BAND = "#f1f3f5"
IMAGE_PX, PAD_PX = 96, 6
HEAD_PX = 190
"""Width of what stands at the left of a row."""


@dataclass(frozen=True)
class GridCell:
    """One image with what is said of it."""

    image: bytes
    caption: str = ""
    is_right: bool | None = None
    """Green or red, frame and caption; None: neither."""
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    """Parts of the image to outline: left, top, right, bottom as shares of its width and height."""


@dataclass(frozen=True)
class GridRow:
    """One row: lines at its left, the first in ink, and a cell a column; None where there is none."""

    head: tuple[str, ...]
    cells: tuple[GridCell | None, ...]


def draw_grid(
    title: str, notes: Sequence[str], columns: Sequence[str], rows: Sequence[GridRow]
) -> Image.Image:
    """Draw a table of images, in RGB.

    Args:
        title: Above all.
        notes: Lines under it: how to read the picture.
        columns: Names of the columns, as many as each row has cells.
        rows: From top to bottom.
    """
    cell_px = IMAGE_PX + 2 * PAD_PX
    row_px = cell_px + SMALL_PX + MARGIN_PX
    line_px = SMALL_PX + 5
    names_px = 2 * MARGIN_PX + TEXT_PX + len(notes) * line_px
    top_px = names_px + SMALL_PX + 2 * MARGIN_PX
    size = (
        HEAD_PX + len(columns) * (cell_px + MARGIN_PX) + MARGIN_PX,
        top_px + len(rows) * (row_px + MARGIN_PX),
    )
    sheet = Image.new("RGB", size, PAPER)
    draw, font, small = ImageDraw.Draw(sheet), load_font(), load_font(SMALL_PX)
    draw.text((MARGIN_PX, MARGIN_PX), drawable(title), INK, font)
    for number, note in enumerate(notes):
        y = MARGIN_PX + TEXT_PX + 6 + number * line_px
        draw.text((MARGIN_PX, y), cut(drawable(note), small, size[0] - 2 * MARGIN_PX), FAINT, small)
    draw.rectangle((0, names_px, size[0], top_px - MARGIN_PX), BAND)
    for column, name in enumerate(columns):
        x = HEAD_PX + column * (cell_px + MARGIN_PX)
        draw.text((x, names_px + 3), cut(drawable(name), small, cell_px), INK, small)
    for number, row in enumerate(rows):
        y = top_px + number * (row_px + MARGIN_PX)
        for line, text in enumerate(row.head):
            at = (MARGIN_PX, y + 10 + line * line_px + (4 if line else 0))
            shown = font if not line else small
            told = cut(drawable(text), shown, HEAD_PX - 2 * MARGIN_PX)
            draw.text(at, told, FAINT if line else INK, shown)
        for column, cell in enumerate(row.cells):
            x = HEAD_PX + column * (cell_px + MARGIN_PX)
            _draw_cell(sheet, draw, (x, y), cell)
        if number:
            draw.line((0, y - MARGIN_PX / 2, size[0], y - MARGIN_PX / 2), RULE)
    return sheet


def _draw_cell(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, at: tuple[int, int], cell: GridCell | None
) -> None:
    (x, y), side_px = at, IMAGE_PX + 2 * PAD_PX
    frame = (x, y, x + side_px - 1, y + side_px - 1)
    if cell is None:
        draw.rectangle(frame, BAND)
        return
    picture = make_thumbnail(cell.image, IMAGE_PX)
    sheet.paste(picture, (x + PAD_PX, y + PAD_PX))
    for left, top, right, bottom in cell.boxes:
        spot = (left * IMAGE_PX - 1, top * IMAGE_PX - 1, right * IMAGE_PX, bottom * IMAGE_PX)
        begin_x, begin_y, end_x, end_y = (round(value) + PAD_PX for value in spot)
        draw.rectangle((x + begin_x, y + begin_y, x + end_x, y + end_y), outline="#8a8f94")
    colour = {None: RULE, True: RIGHT, False: WRONG}[cell.is_right]
    draw.rectangle(frame, outline=colour, width=1 if cell.is_right is None else 2)
    small = load_font(SMALL_PX)
    ink = FAINT if cell.is_right is None else colour
    draw.text((x, y + side_px + 3), cut(drawable(cell.caption), small, side_px), ink, small)
