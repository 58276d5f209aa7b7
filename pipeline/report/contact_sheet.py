"""Pictures: a contact sheet of a neuron's strongest images, and what it shares with `grid`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from pipeline.base.display import show
from pipeline.base.outputs import new_file
from pipeline.base.pixels import put_on_paper
from pipeline.report.peaks import InImage
from pipeline.report.thumbnails import draw_ring
from pipeline.warehouse.images import make_thumbnail

THUMBNAIL_PX = 112
MARGIN_PX = 8
TEXT_PX = 15
SMALL_PX = 12
INK, PAPER, FAINT, RULE = "#1a1a1a", "#ffffff", "#666666", "#cccccc"
COLUMNS = 10
"""Images side by side."""


class SheetImage(NamedTuple):
    """One image of a sheet."""

    data: bytes
    """Its file."""
    caption: str
    peak: InImage | None = None
    """A place in it that gets a ring."""


def draw_sheet(heads: Sequence[str], images: Sequence[SheetImage]) -> Image.Image:
    """Thumbnails in rows of `COLUMNS`, each in a frame over its caption, in RGB.

    Args:
        heads: Lines above them; the first is the title.
        images: Best first.
    """
    step_px = THUMBNAIL_PX + MARGIN_PX
    line_px = TEXT_PX + 4
    row_px = step_px + SMALL_PX + MARGIN_PX
    top_px = 2 * MARGIN_PX + len(heads) * line_px
    row_count = max(1, -(-len(images) // COLUMNS))
    width = max(min(len(images), COLUMNS) * step_px + MARGIN_PX, 640)
    sheet = Image.new("RGB", (width, top_px + row_count * row_px + MARGIN_PX), PAPER)
    draw, font, small = ImageDraw.Draw(sheet), load_font(), load_font(SMALL_PX)
    for number, head in enumerate(heads):
        text = cut(drawable(head), font, width - 2 * MARGIN_PX)
        place = (MARGIN_PX, MARGIN_PX + number * line_px)
        draw.text(place, text, FAINT if number else INK, font)
    for number, (data, caption, peak) in enumerate(images):
        row, column = divmod(number, COLUMNS)
        x, y = MARGIN_PX + column * step_px, top_px + row * row_px
        sheet.paste(_thumbnail(data, peak), (x, y))
        draw.rectangle((x - 1, y - 1, x + THUMBNAIL_PX, y + THUMBNAIL_PX), outline=RULE)
        told = cut(drawable(caption), small, THUMBNAIL_PX)
        draw.text((x, y + THUMBNAIL_PX + 3), told, FAINT, small)
    if not images:
        draw.text((MARGIN_PX, top_px), "no examples", FAINT, font)
    return sheet


def _thumbnail(data: bytes, peak: InImage | None) -> Image.Image:
    inner = make_thumbnail(data, THUMBNAIL_PX, is_square=False)
    paper = put_on_paper(inner.convert("RGBA"), (THUMBNAIL_PX, THUMBNAIL_PX))
    if peak is not None:
        draw_ring(paper, inner.size, peak)
    return paper


def load_font(size_px: int = TEXT_PX) -> Any:
    """The font of pictures."""
    return ImageFont.load_default(size_px)


def cut(text: str, font: Any, width_px: int) -> str:
    """As much of a text as is no wider."""
    kept = text
    while font.getlength(kept) > width_px:
        kept = f"{kept.removesuffix('..')[:-1]}.."
    return kept


def drawable(text: str) -> str:
    """The bundled font has Latin letters only; others would be boxes."""
    return "".join(c if ord(c) < 0x250 else "?" for c in show(text))


def save_sheet(sheet: Image.Image, path: str | Path) -> None:
    """Write a PNG."""
    with new_file(Path(path)) as file:
        sheet.save(file, "PNG")
