"""Fonts: where they lie, what they can draw, and under which licence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.base.errors import ConfigError, SourceError

_SUFFIXES = (".ttf", ".otf", ".ttc", ".woff")


@dataclass(frozen=True)
class Font:
    """One font file."""

    name: str
    """The file's name without its extension and variable axes: ``NotoSans``."""
    path: Path
    characters: frozenset[int]
    """Code points that it can draw."""
    licence: str
    """As its name table says: OFL-1.1, Apache-2.0, or unknown."""

    def can_draw(self, text: str) -> bool:
        """Whether it has a glyph for every character of a text, spaces aside."""
        return all(ord(c) in self.characters or c.isspace() for c in text)

    def missing(self, text: str) -> str:
        """The characters of a text that it cannot draw."""
        wanted = dict.fromkeys(text)
        return "".join(c for c in wanted if ord(c) not in self.characters and not c.isspace())


def find_fonts(places: Iterable[str]) -> tuple[Font, ...]:
    """Fonts of files, folders (searched whole) and installed packages, sorted by name.

    Args:
        places: Paths, or names of packages that bring fonts, such as ``manimgx_fonts``.

    Raises:
        SourceError: A place is not there, holds no font, or a file that is named is none.
    """
    found: dict[Path, Font] = {}
    for place in places:
        files = _list_files(place)
        fonts = [font for file in files if (font := _try_font(file)) is not None]
        if not fonts:
            raise SourceError(
                f"{place!r} holds no font.",
                "Name a .ttf or .otf file, a folder, or an installed package such as manimgx_fonts.",
            )
        found.update((font.path, font) for font in fonts)
    return tuple(sorted(found.values(), key=lambda font: (font.name, str(font.path))))


def choose_fonts(places: Sequence[str], names: Sequence[str]) -> tuple[Font, ...]:
    """The fonts of these names, in the order of their names; of a single font, its name does not matter.

    Raises:
        ConfigError: A name is that of no font there.
        SourceError: As `find_fonts`.
    """
    found = find_fonts(places)
    if len(found) == 1:
        return found
    there = {font.name: font for font in found}
    for name in names:
        if name not in there:
            raise ConfigError(
                f"There is no font {name!r} in {', '.join(places)}.",
                f"There are: {', '.join(list(there)[:20])}. Name one with --font-name.",
            )
    return tuple(font for font in found if font.name in set(names))


def _list_files(place: str) -> list[Path]:
    path = Path(os.path.expanduser(place))  # noqa: PTH111
    if path.is_file():
        return [path]
    if not path.is_dir() and place.replace("_", "").isalnum():
        from importlib.util import find_spec

        spec = find_spec(place)
        if spec is None or not spec.submodule_search_locations:
            raise SourceError(
                f"There is no file, folder or installed package {place!r}.",
                f"Check the path, or pip install {place.replace('_', '-')}.",
            )
        path = Path(spec.submodule_search_locations[0])
    if not path.is_dir():
        raise SourceError(f"There is no file or folder {place!r}.", "Check the path.")
    # os.walk passes over folders that vanish or may not be read.
    files = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    return sorted(file for file in files if file.suffix.lower() in _SUFFIXES)


@cache
def _try_font(path: Path) -> Font | None:
    """Read a font's tables; None for a file that is no font, whatever its name says."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with path.open("rb") as file, TTFont(file, lazy=True, fontNumber=0) as font:
            characters = frozenset(font.getBestCmap() or ())
            names = font["name"]
            words = " ".join(names.getDebugName(i) or "" for i in (13, 14))
    except (TTLibError, OSError, KeyError, AssertionError):
        return None
    is_open = any(mark in words for mark in ("Open Font", "OFL", "openfont"))
    is_apache = "apache" in words.lower()
    licence = "OFL-1.1" if is_open else "Apache-2.0" if is_apache else "unknown"
    return Font(path.stem.split("[")[0], path, characters, licence)
