"""The fonts of pictures: which there are, and what none of them can draw.

Source Sans Pro, then Noto Sans for twenty scripts, all from packages; for other characters any font
of the system. What no font has is transliterated if Unicode knows how, else it is a question mark:
never a box, never a warning.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

from pipeline.stimuli.fonts import Font, find_fonts

_MAIN = {"SourceSansPro-Regular.ttf", "SourceSansPro-Semibold.ttf", "SourceSansPro-Bold.ttf"}


FAMILY = "Source Sans Pro"
"""The family of everything that it can draw."""


@cache
def load_families() -> dict[str, frozenset[int]]:
    """Families in the order in which a character is looked for; known to matplotlib from now on."""
    from matplotlib.font_manager import fontManager, get_font

    families: dict[str, frozenset[int]] = {}
    for font in _bundled():
        fontManager.addfont(font.path)
        families.setdefault(get_font(font.path).family_name, font.characters)
    return families


def _bundled() -> tuple[Font, ...]:
    main = [f for f in find_fonts(["font_source_sans_pro"]) if f.path.name in _MAIN]
    noto = [f for f in find_fonts(["manimgx_fonts"]) if "Italic" not in f.name]
    return (*main, *sorted(noto, key=lambda font: (font.name != "NotoSans", font.name)))


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


def make_drawable(text: str) -> tuple[str, dict[str, Any]]:
    """A text as it can be drawn on one line, and what matplotlib's text needs to know to draw it.

    A mark is drawn by the font of what it stands on; one that this font lacks is left out.
    """
    families: dict[str, None] = {FAMILY: None}
    drawn, below = "", ""
    for character in " ".join(text.split()):
        is_mark = unicodedata.category(character).startswith("M")
        if is_mark and _lacks(below, character):
            continue
        shown, family = _draw_character(character)
        drawn += shown
        families[family] = None
        if shown and not is_mark:
            below = family
    if len(families) == 1:
        return drawn, {"fontfamily": [FAMILY]}
    return drawn, {"fontfamily": list(families), "fontweight": "normal"}  # others have one weight


def _draw_character(character: str) -> tuple[str, str]:
    """What stands for a character, and the family that draws it."""
    if not character.isprintable():
        return "", FAMILY
    known = (name for name, has in load_families().items() if ord(character) in has)
    family = next(known, None) or _system_family(character)
    if family is not None:
        return character, family
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or "?", FAMILY


def _lacks(family: str, character: str) -> bool:
    """Whether a family of ours cannot draw a character; of the system's we do not know."""
    families = load_families()
    return family in families and ord(character) not in families[family]
