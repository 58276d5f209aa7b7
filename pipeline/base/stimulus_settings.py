"""What can be set of controlled stimuli: the fields of ``neurons stimuli ...`` and of ``[[stimuli]]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen

from pipeline.base.fields import Settings
from pipeline.base.settings import Count

SidePx = Annotated[int, Ge(16), Le(2048)]
Names = Annotated[tuple[str, ...], MinLen(1)]
Language = Literal["en", "es", "fr", "de"]
"""Those in which the concepts of the embedded model have names."""
DrawingForm = Literal["drawing", "edge map", "silhouette"]
ImageForm = Literal["line drawing", "edge map", "silhouette"]
Spot = Literal[
    "centre", "anywhere", "top-left", "top", "top-right", "left", "right", "bottom-left", "bottom",
    "bottom-right",
]  # fmt: skip
Patch = Literal["eight", "strip", "label"]
NOTO = ("manimgx_fonts",)
"""A package that brings Noto's fonts, for many scripts."""


@dataclass(frozen=True)
class PictureOptions(Settings):
    """Concepts drawn in different sets, and as edge maps and silhouettes: ``stimuli pictures``."""

    sets: Names = ("openmoji",)
    """Which drawings: ``openmoji``, ``openmoji-black``, ``noto-emoji-glyphs``, or a folder with files named
    as 1f418.svg."""
    forms: Annotated[tuple[DrawingForm, ...], MinLen(1)] = ("drawing",)
    """What is made of each drawing; edge maps and silhouettes are made of coloured drawings alone."""
    categories: tuple[str, ...] = ()
    """Draw only the concepts of this category, as ``animal``; all if none is given."""
    languages: Annotated[tuple[Language, ...], MinLen(1)] = ("en", "es", "fr", "de")
    """Language of the captions: each picture gets the concept's name in all that are given."""
    size_px: SidePx = 160
    """Width and height of each image in pixels."""


@dataclass(frozen=True)
class WordOptions(Settings):
    """Any words in any fonts: ``stimuli words``."""

    list: str = ""
    """File of the words, one a line, or a CSV with a column ``word``; if not given, the names of the
    concepts that the embedded model knows."""
    languages: Annotated[tuple[Language, ...], MinLen(1)] = ("en",)
    """Language of the concepts' names, where no list is given."""
    fonts: Names = NOTO
    """Font file, folder of fonts, or installed package that brings fonts."""
    font_names: tuple[str, ...] = ()
    """Use only the font of this name, as ``NotoSans``; all that are found if none is given."""
    fonts_per_word: Count = 1
    """How often each word is written, each time in another font that has its letters."""
    placement: Spot = "centre"
    """Where on the card the word stands; ``anywhere`` is a random place."""
    size_frac: tuple[float, float] | None = None
    """Smallest and largest share of the card, 0 to 1, that a word takes; if not given, all of it in the
    centre, and 0.35 to 0.7 elsewhere."""
    inks: Names = ("#000000",)
    """Colour of the letters, written #rrggbb; of several, one is drawn at random for each card."""
    papers: Names = ("#ffffff",)
    """Colour of the card, written #rrggbb; of several, one is drawn at random for each card."""
    rotation_deg: Annotated[float, Ge(0), Le(180)] = 0.0
    """Turn each word at random by at most this many degrees, either way."""
    seed: int = 0
    """Number that random choices follow from: the same seed gives the same images."""
    size_px: SidePx = 160
    """Width and height of each image in pixels."""


@dataclass(frozen=True)
class PatchStyle(Settings):
    """How a text is laid on an image."""

    placements: Annotated[tuple[Patch, ...], MinLen(1)] = ("eight", "strip", "label")
    """Where the text stands: small in eight places at once, on a strip across, or on one large label."""
    ink: str = "#000000"
    """Colour of the letters, written #rrggbb."""
    paper: str = "#ffffff"
    """Colour of what the text stands on, written #rrggbb."""
    language: str = "en"
    """Language of the texts, as a code of two letters."""


@dataclass(frozen=True, kw_only=True)
class TypographicOptions(PatchStyle):
    """Images with texts on them, each beside its controls: ``stimuli typographic``."""

    images: str
    """Images to write on: a folder, ``dataset:NAME``, or the drawings ``openmoji`` or ``openmoji-black``."""
    texts: Names
    """What to write on each image."""
    fonts: Names = NOTO
    """Font file, folder of fonts, or installed package that brings fonts."""
    font_name: str = "NotoSans"
    """Name of the font to write in."""
    categories: tuple[str, ...] = ()
    """Take only images that show a concept of this category; all if none is given."""
    limit: Annotated[int, Ge(0)] = 0
    """How many images to take at most; 0 takes all."""


@dataclass(frozen=True)
class StroopOptions(Settings):
    """Colour words in inks, with neutral and congruent cards: ``stimuli stroop``."""

    fonts: Names = NOTO
    """Font file, folder of fonts, or installed package that brings fonts."""
    font_names: Names = ("NotoSans",)
    """Name of a font to write in; of several, each writes all the cards."""
    paper: str = "#ffffff"
    """Colour of the cards, written #rrggbb."""
    size_px: SidePx = 160
    """Width and height of each image in pixels."""


@dataclass(frozen=True)
class FormOptions(Settings):
    """Line drawings, edge maps and silhouettes made of any images: ``stimuli forms``."""

    images: str
    """Images to redraw: a folder, ``dataset:NAME``, or the drawings ``openmoji`` or ``openmoji-black``."""
    forms: Annotated[tuple[ImageForm, ...], MinLen(1)] = ("line drawing", "silhouette")
    """What is made of each image."""
