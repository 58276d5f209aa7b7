"""Words: any list, written in any fonts, sizes, places, inks and rotations."""

from __future__ import annotations

import csv
import math
import os
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.base.errors import ConfigError, ExampleError, SourceError
from pipeline.base.stimulus_settings import Language, WordOptions
from pipeline.nano.concepts import load_concepts
from pipeline.sources.stimulus import Stimulus
from pipeline.sources.texts.languages import normalise_language
from pipeline.sources.texts.source_text import make_text
from pipeline.sources.writer import SourceExample, make_reject
from pipeline.stimuli.fonts import Font, find_fonts
from pipeline.stimuli.lettering import check_colours, draw_text, encode_png, text_mask
from pipeline.stimuli.scripts import script_of

SPOTS: dict[str, tuple[float, float]] = {
    "centre": (0.5, 0.5),
    "top-left": (0.0, 0.0),
    "top": (0.5, 0.0),
    "top-right": (1.0, 0.0),
    "left": (0.0, 0.5),
    "right": (1.0, 0.5),
    "bottom-left": (0.0, 1.0),
    "bottom": (0.5, 1.0),
    "bottom-right": (1.0, 1.0),
}
"""Where each `Spot` but ``anywhere`` is: shares 0..1 of the room that a word leaves free, from the left and
from the top."""
_FULL, _SMALL = (1.0, 1.0), (0.35, 0.7)
_PROBE_PX = 64.0
"""Font size at which a word is measured."""
_ROOM = 0.94
"""Share of the card that a word may take, so that nothing touches the border."""


@dataclass(frozen=True)
class Word:
    """One word to write."""

    text: str
    language: str = "und"
    concept: str | None = None
    """What it names; null if it is just a word."""
    category: str | None = None


def iter_words(
    words: Iterable[Word], options: WordOptions | None = None
) -> Iterator[SourceExample]:
    """Write words on cards.

    A word that none of the fonts can draw is yielded too: asking for its image raises ExampleError
    ``missing_glyph``, so that it becomes a reject. So does one whose letters cannot be joined here, or
    that would be too small to see.
    Each word's images depend on the options, the fonts and the word alone, so lists can grow.

    Raises:
        ConfigError: A colour or a share of the card that cannot be.
        SourceError: No fonts.
    """
    options = options or WordOptions()
    fonts = _choose_fonts(options)
    for number, word in enumerate(words):
        rng = random.Random(f"{options.seed}:{word.language}:{word.text}")
        able = [font for font in fonts if font.can_draw(word.text)]
        if not able:
            detail = f"none of the {len(fonts)} fonts can draw all of {word.text!r}; give others by --font"
            yield make_reject(f"word/{number:06d}", "missing_glyph", detail)
            continue
        chosen = rng.sample(able, min(options.fonts_per_word, len(able)))
        for copy, font in enumerate(chosen):
            key = f"word/{number:06d}-{copy}"
            try:
                yield _write(key, word, font, options, rng)
            except ExampleError as error:
                yield make_reject(key, error.reason, error.detail)


def read_words(path: str) -> list[Word]:
    """A list of words: one a line, or a CSV with the column ``word`` and any of language, concept, category.

    Raises:
        SourceError: The file is not there, not UTF-8, or has no word.
    """
    try:
        text = Path(os.path.expanduser(path)).read_text(encoding="utf-8-sig")  # noqa: PTH111
    except (OSError, ValueError) as error:
        raise SourceError(
            f"The word list {path!r} cannot be read: {error}",
            "Expected a text or CSV file in UTF-8.",
        ) from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and "word" in lines[0].lower().split(","):
        words = [
            Word(
                row["word"].strip(),
                normalise_language(row.get("language")),
                row.get("concept") or None,
                row.get("category") or None,
            )
            for row in _read_rows(path, lines)
            if (row["word"] or "").strip()
        ]
    else:
        words = [Word(line) for line in lines]
    if not words:
        raise SourceError(f"The word list {path!r} has no word.", "Expected one word a line.")
    return words


def _read_rows(path: str, lines: list[str]) -> Iterator[dict[str, Any]]:
    """Rows of a CSV, with the names of their columns in lower case."""
    try:
        for row in csv.DictReader(lines):
            yield {str(name).lower(): value for name, value in row.items()}
    except csv.Error as error:
        raise SourceError(
            f"The word list {path!r} is not CSV: {error}.", "Mend it, or give one word a line."
        ) from error


def choose_words(options: WordOptions) -> list[Word]:
    """Those of the list, or else of the concepts.

    Raises:
        SourceError: As `read_words`.
    """
    return read_words(options.list) if options.list else concept_words(options.languages)


def concept_words(languages: Sequence[Language]) -> list[Word]:
    """The names of nano's concepts in some of its languages."""
    return [
        Word(concept.words[language], language, concept.concept, concept.category)
        for concept in load_concepts()
        for language in languages
    ]


def _choose_fonts(options: WordOptions) -> list[Font]:
    check_colours(*options.inks, *options.papers)
    low, high = options.size_frac or _FULL
    if not 0 < low <= high <= 1:
        raise ConfigError(
            f"size_frac is {low} to {high}.",
            "Expected two shares of the card, 0 < low <= high <= 1.",
        )
    fonts = [
        font
        for font in find_fonts(options.fonts)
        if not options.font_names or font.name in options.font_names
    ]
    if not fonts:
        there = ", ".join(font.name for font in find_fonts(options.fonts)[:20])
        raise SourceError("No font has one of the names that were given.", f"There are: {there}.")
    return fonts


def _write(
    key: str, word: Word, font: Font, options: WordOptions, rng: random.Random
) -> SourceExample:
    ink, paper = rng.choice(options.inks), rng.choice(options.papers)
    rotation = round(rng.uniform(-1, 1) * options.rotation_deg, 2)
    low, high = options.size_frac or (_FULL if options.placement == "centre" else _SMALL)
    share = rng.uniform(low, high) if low < high else low
    is_fixed = options.placement in SPOTS
    spot = SPOTS[options.placement] if is_fixed else (rng.random(), rng.random())
    font_size_px = _fit(word.text, font, options.size_px, share, rotation)
    fields: Stimulus = {
        "stimulus": "word",
        "concept": word.concept,
        "category": word.category,
        "facet": "rendered word",
        "text": word.text,
        "language": word.language,
        "script": script_of(word.text),
        "font": font.name,
        "font_size_px": font_size_px,
        "ink": ink,
        "paper": paper,
        "rotation_deg": rotation,
        "placement": options.placement,
    }
    return SourceExample(
        key=key,
        image=partial(
            _draw, word.text, font, font_size_px, options.size_px, spot, ink, paper, rotation
        ),
        extension="png",
        texts=[make_text(word.text, word.language)],
        stimulus={name: value for name, value in fields.items() if value is not None},
    )


def _fit(text: str, font: Font, size_px: int, share: float, rotation_deg: float) -> float:
    """The font size (px, two decimals) at which a word fills its share of the card, turned as it is.

    Raises:
        ExampleError: As ``text_mask``.
    """
    room, mask = _ROOM * share * size_px, text_mask(text, font, _PROBE_PX)
    sine, cosine = (abs(f(math.radians(rotation_deg))) for f in (math.sin, math.cos))
    turned = (
        mask.width * cosine + mask.height * sine,
        mask.width * sine + mask.height * cosine,
    )
    scale = min(room / mask.width, 0.5 * room / mask.height, _ROOM * size_px / max(turned))
    return math.floor(100 * _PROBE_PX * scale) / 100


def _draw(
    text: str,
    font: Font,
    font_size_px: float,
    size_px: int,
    spot: tuple[float, float],
    ink: str,
    paper: str,
    rotation_deg: float,
) -> bytes:
    """A card with a word; ``spot`` 0..1 says where in the free room it lies."""
    from PIL import Image

    mask = text_mask(text, font, font_size_px)
    if rotation_deg:
        turned = mask.rotate(rotation_deg, Image.Resampling.BICUBIC, expand=True)
        mask = turned.crop(turned.getbbox())
    card = Image.new("RGB", (size_px, size_px), paper)
    margin = (1 - _ROOM) / 2 * size_px
    centre = [
        margin + side / 2 + share * (size_px - 2 * margin - side)
        for side, share in zip(mask.size, spot, strict=True)
    ]
    draw_text(card, mask, (centre[0], centre[1]), ink)
    return encode_png(card)
