"""The fonts of pictures: which there are, and what none of them can draw.

Source Sans Pro, then Noto Sans for twenty scripts, all from packages; for other characters any font
of the system. What no font has is transliterated if Unicode knows how, else it is a question mark:
never a box, never a warning.
"""

from __future__ import annotations

import unicodedata
from functools import cache

from pipeline.stimuli.fonts import Font, find_fonts

_MAIN = {"SourceSansPro-Regular.ttf", "SourceSansPro-Semibold.ttf", "SourceSansPro-Bold.ttf"}


@cache
def load_families() -> tuple[str, ...]:
    """Families in the order in which a glyph is looked for; known to matplotlib from now on."""
    from matplotlib.font_manager import FontProperties, fontManager, get_font

    families: dict[str, None] = {}
    for font in _bundled():
        fontManager.addfont(font.path)
        families[get_font(font.path).family_name] = None
    for family in families:
        fontManager.findfont(FontProperties(family=family), fallback_to_default=False)
    return tuple(families)


@cache
def _bundled() -> tuple[Font, ...]:
    main = [f for f in find_fonts(["font_source_sans_pro"]) if f.path.name in _MAIN]
    noto = [f for f in find_fonts(["manimgx_fonts"]) if "Italic" not in f.name]
    return (*main, *sorted(noto, key=lambda font: (font.name != "NotoSans", font.name)))


@cache
def _characters() -> frozenset[int]:
    return frozenset().union(*(font.characters for font in _bundled()))


@cache
def _system_family(character: str) -> str | None:
    """A family of the system that has a character; None if there is none."""
    from matplotlib.font_manager import fontManager, get_font

    for entry in sorted(fontManager.ttflist, key=lambda entry: (entry.name, entry.fname)):
        try:
            if get_font(entry.fname).get_char_index(ord(character)):
                return str(entry.name)
        except (OSError, RuntimeError):
            continue
    return None


def make_drawable(text: str) -> tuple[str, list[str]]:
    """A text as it can be drawn on one line, and the families that have its glyphs, in order."""
    load_families()
    more: dict[str, None] = {}
    drawn = "".join(_draw_character(character, more) for character in " ".join(text.split()))
    return drawn, [*load_families(), *more]


def _draw_character(character: str, more: dict[str, None]) -> str:
    if ord(character) in _characters() or character == " ":
        return character
    if not character.isprintable():
        return ""
    family = _system_family(character)
    if family is not None:
        more[family] = None
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or "?"
