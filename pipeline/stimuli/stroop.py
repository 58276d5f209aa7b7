"""Stroop cards: colour words in inks, with neutral and congruent cards (Stroop 1935; Goh et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from pipeline.base.errors import ConfigError
from pipeline.sources.writer import SourceExample
from pipeline.stimuli.fonts import Font
from pipeline.stimuli.lettering import check_colours, encode_png, write_card

COLOURS = {
    "red": "#e53935",
    "orange": "#fb8c00",
    "yellow": "#fdd835",
    "green": "#43a047",
    "blue": "#1e88e5",
    "purple": "#8e24aa",
    "brown": "#6d4c41",
}
"""Names and inks of the cards: seven colours, 42 incongruent cells."""
NEUTRAL_TEXT = "xxxx"
"""What neutral cards say: letters, no word."""


def iter_stroop(
    fonts: tuple[Font, ...],
    colours: Mapping[str, str] = COLOURS,
    paper: str = "#ffffff",
    size_px: int = 160,
) -> Iterator[SourceExample]:
    """Every ink with every word and with letters that are no word, in every font.

    Raises:
        ConfigError: Fewer than two colours, a colour that is none, or a word that a font cannot draw.
    """
    if len(colours) < 2:
        raise ConfigError(
            f"A Stroop test of {len(colours)} colours has no cell.", "Give at least two colours."
        )
    check_colours(*colours.values(), paper)
    for font in fonts:
        for text in (*colours, NEUTRAL_TEXT):
            if font.missing(text):
                raise ConfigError(
                    f"The font {font.name} cannot draw {font.missing(text)!r} of {text!r}.",
                    "Name another font.",
                )
        for ink_name, ink in colours.items():
            for word in (*colours, None):
                yield _card(font, ink_name, ink, word, paper, size_px)


def _card(
    font: Font, ink_name: str, ink: str, word: str | None, paper: str, size_px: int
) -> SourceExample:
    text = word or NEUTRAL_TEXT
    control = "neutral" if word is None else "congruent" if word == ink_name else "incongruent"
    return SourceExample(
        key=f"stroop/{font.name}-{ink_name}-{text}",
        image=partial(_draw, text, font, size_px, ink, paper),
        extension="png",
        stimulus={
            "stimulus": "stroop",
            "facet": "rendered word" if word else "colour card",
            "text": text,
            "language": "en" if word else None,
            "font": font.name,
            "ink": ink,
            "paper": paper,
            "control": control,
            "ink_name": ink_name,
            "word_name": word,
        },
    )


def _draw(text: str, font: Font, size_px: int, ink: str, paper: str) -> bytes:
    return encode_png(write_card(text, font, (size_px, size_px), ink, paper))
