"""Pictures: contact sheets of neurons' top images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from pipeline.base.display import show
from pipeline.base.outputs import new_file
from pipeline.base.pixels import open_upright, put_on_paper

THUMBNAIL_PX = 112
MARGIN_PX = 6
TEXT_PX = 15
INK, PAPER, FAINT = "#1a1a1a", "#ffffff", "#777777"


@dataclass(frozen=True)
class SheetRow:
    """One neuron on a contact sheet."""

    title: str
    subtitle: str
    images: tuple[bytes, ...]
    captions: tuple[str, ...]


def draw_sheet(rows: Sequence[SheetRow], title: str) -> Image.Image:
    """One row of thumbnails a neuron, best first, in RGB."""
    columns = max([1, *(len(row.images) for row in rows)])
    step = THUMBNAIL_PX + MARGIN_PX
    height = 2 * TEXT_PX + 2 * MARGIN_PX + THUMBNAIL_PX + TEXT_PX + 2 * MARGIN_PX
    width = max(columns * step + MARGIN_PX, 640)
    sheet = Image.new("RGB", (width, TEXT_PX + 3 * MARGIN_PX + len(rows) * height), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT_PX)
    small = ImageFont.load_default(TEXT_PX - 3)
    draw.text((MARGIN_PX, MARGIN_PX), _drawable(title), INK, font)
    for number, row in enumerate(rows):
        top = TEXT_PX + 3 * MARGIN_PX + number * height
        draw.text((MARGIN_PX, top), _drawable(row.title), INK, font)
        draw.text((MARGIN_PX, top + TEXT_PX + 2), _drawable(row.subtitle), FAINT, font)
        y = top + 2 * TEXT_PX + 2 * MARGIN_PX
        for place, (data, caption) in enumerate(zip(row.images, row.captions, strict=True)):
            x = MARGIN_PX + place * step
            sheet.paste(_thumbnail(data), (x, y))
            draw.text((x, y + THUMBNAIL_PX + 2), _cut(_drawable(caption), small), FAINT, small)
        if not row.images:
            draw.text((MARGIN_PX, y), "no examples", FAINT, font)
    return sheet


def _cut(text: str, font: Any) -> str:
    """What of a caption fits under its thumbnail."""
    kept = text
    while font.getlength(kept) > THUMBNAIL_PX:
        kept = f"{kept.removesuffix('..')[:-1]}.."
    return kept


def _drawable(text: str) -> str:
    """The bundled font has Latin letters only; others would be boxes."""
    return "".join(c if ord(c) < 0x250 else "?" for c in show(text))


def _thumbnail(data: bytes) -> Image.Image:
    upright = open_upright(data)
    upright.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return put_on_paper(upright, (THUMBNAIL_PX, THUMBNAIL_PX))


def save_sheet(sheet: Image.Image, path: str | Path) -> None:
    """Write a PNG."""
    with new_file(Path(path)) as file:
        sheet.save(file, "PNG")
