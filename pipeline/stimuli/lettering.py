"""Writing text into images: one line in one font, cut to its ink, turned and placed."""

from __future__ import annotations

import io
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.base.errors import ConfigError, ExampleError
from pipeline.stimuli.fonts import Font

if TYPE_CHECKING:
    from PIL import Image

MIN_FONT_SIZE_PX = 1.0
"""A smaller font leaves a smear, and FreeType cannot set it."""
_MARGIN_FRAC = 0.04
"""Free border that centred text leaves on each side."""


def check_colours(*colours: str) -> None:
    """Refuse what is no colour.

    Raises:
        ConfigError: Which.
    """
    for colour in colours:
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
            raise ConfigError(f"{colour!r} is no colour.", "Write #rrggbb, for example #cc0000.")


def text_mask(text: str, font: Font, size_px: float) -> Image.Image:
    """The ink of a line of text, cut to its bounding box.

    Args:
        text: One line.
        font: A font that can draw all of it.
        size_px: Font size (em) in pixels.

    Returns:
        A grey image (mode ``L``): 255 is full ink.

    Raises:
        ExampleError: ``missing_glyph`` if the font lacks a character, which would be drawn as a box;
            ``no_shaping`` if the script joins or reorders its letters and Pillow cannot do that here;
            ``too_small`` below ``MIN_FONT_SIZE_PX``; ``no_ink`` if nothing would be seen.
    """
    from PIL import Image, ImageDraw, features

    missing = font.missing(text)
    if missing:
        raise ExampleError(
            "missing_glyph", f"the font {font.name} cannot draw {missing!r} of {text!r}"
        )
    if needs_shaping(text) and not features.check("raqm"):
        raise ExampleError(
            "no_shaping", f"{text!r} needs its letters joined or reordered: install libfribidi"
        )
    if size_px < MIN_FONT_SIZE_PX:
        raise ExampleError(
            "too_small", f"{text[:80]!r} fits its room only at {size_px:.2g} px, a smear"
        )
    face = _face(font.path, float(size_px))
    left, top, right, bottom = face.getbbox(text)
    if right <= left or bottom <= top:
        raise ExampleError("no_ink", f"{text!r} leaves no ink in the font {font.name}")
    pad = 2
    mask = Image.new("L", (int(right - left) + 2 * pad + 1, int(bottom - top) + 2 * pad + 1), 0)
    ImageDraw.Draw(mask).text((pad - left, pad - top), text, 255, face)
    box = mask.getbbox()
    if box is None:
        raise ExampleError("no_ink", f"{text!r} leaves no ink in the font {font.name}")
    return mask.crop(box)


def needs_shaping(text: str) -> bool:
    """Whether a text is in a script whose letters join, reorder or run from right to left."""
    return any(low <= ord(c) <= high for c in text for low, high in _SHAPED)


_SHAPED = ((0x0590, 0x08FF), (0x0900, 0x0DFF), (0x0E80, 0x109F), (0x1780, 0x17FF), (0xFB1D, 0xFEFC))
"""Hebrew, Arabic and their neighbours; the scripts of India; Lao, Tibetan, Burmese; Khmer; old forms."""


def fit_size(text: str, font: Font, width_px: float, height_px: float) -> float:
    """The largest font size at which the ink of a text fits a box, in pixels."""
    probe = 64.0
    mask = text_mask(text, font, probe)
    return probe * min(width_px / mask.width, height_px / mask.height)


def draw_text(
    image: Image.Image,
    mask: Image.Image,
    centre: tuple[float, float],
    ink: str,
    rotation_deg: float = 0.0,
) -> tuple[int, int, int, int]:
    """Draw a text's ink on an image, in place.

    Args:
        image: RGB image.
        mask: From :func:`text_mask`.
        centre: Where the middle of the ink goes, in pixels from the top left.
        ink: Colour, as ``#rrggbb``.
        rotation_deg: Counter-clockwise.

    Returns:
        The box (left, top, right, bottom) that the ink takes, cut to the image.
    """
    from PIL import Image

    if rotation_deg:
        mask = mask.rotate(rotation_deg, Image.Resampling.BICUBIC, expand=True)
        mask = mask.crop(mask.getbbox())
    left = round(centre[0] - mask.width / 2)
    top = round(centre[1] - mask.height / 2)
    image.paste(ink, (left, top), mask)
    return (
        max(left, 0),
        max(top, 0),
        min(left + mask.width, image.width),
        min(top + mask.height, image.height),
    )


def write_card(
    text: str,
    font: Font,
    size: tuple[int, int],
    ink: str = "#000000",
    paper: str = "#ffffff",
    rotation_deg: float = 0.0,
) -> Image.Image:
    """A card with one text in its middle, as large as fits: RGB, ``size`` (width, height) pixels."""
    from PIL import Image

    image = Image.new("RGB", size, paper)
    free = 1 - 2 * _MARGIN_FRAC
    font_size = fit_size(text, font, free * size[0], free * size[1])
    draw_text(
        image, text_mask(text, font, font_size), (size[0] / 2, size[1] / 2), ink, rotation_deg
    )
    return image


@lru_cache(maxsize=256)
def _face(path: Path, size_px: float) -> Any:
    from PIL import ImageFont

    return ImageFont.truetype(path, size_px)


def encode_png(image: Image.Image) -> bytes:
    """A PNG file; the same pixels give the same bytes."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()
