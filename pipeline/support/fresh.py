"""Fresh images: each concept written in other fonts and drawn in other sets than the run's own images are.

An image is fresh if its font's family or its set's designs are in no stimulus of the run's dataset, and if no
image of the dataset is the same file. Sizes, places, inks and turns are drawn by the seed.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.base.errors import ConfigError, ExampleError
from pipeline.base.stimulus_settings import WordOptions
from pipeline.base.support_settings import SupportChoice
from pipeline.nano.concepts import load_concepts
from pipeline.sources.layouts.openmoji import load_emoji_names
from pipeline.stimuli.drawings import Draw, DrawingSet, plain_emoji
from pipeline.stimuli.fonts import Font, find_fonts
from pipeline.stimuli.lettering import encode_png
from pipeline.stimuli.pictures import COLOURED, load_set
from pipeline.stimuli.words import Word, iter_words

if TYPE_CHECKING:
    from PIL import Image

INKS = ("#000000", "#1f3a5f", "#7a1f1f", "#1f5f2b")
PAPERS = ("#ffffff", "#f6f1e3", "#e9eef4")
SIZES = (0.6, 0.95)
"""Share of the card that a word or a drawing takes."""
MAX_TURN_DEG = 10.0


@dataclass(frozen=True)
class FreshConcept:
    """What fresh images are made of."""

    concept: str
    category: str
    emoji: tuple[str, ...]
    """Those that show it; may be none."""


@dataclass(frozen=True)
class FreshImage:
    """One fresh image."""

    concept: str
    form: str
    """Its facet: ``rendered word``, ``line drawing``, ``colour drawing``."""
    made_with: str
    """The font, or the set of drawings."""
    text: str | None
    """What is written on it."""
    data: bytes
    """The PNG file."""

    @property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Used:
    """What the images of a dataset were made with."""

    fonts: frozenset[str]
    sets: frozenset[str]
    hashes: frozenset[str]
    """Of all its image files."""


@dataclass(frozen=True)
class Means:
    """What fresh images are made with."""

    fonts: tuple[Font, ...]
    sets: tuple[DrawingSet, ...]


def family(name: str) -> str:
    """Fonts of one family have one name up to the hyphen, ``Caladea-Bold``; so have sets of one design."""
    return name.split("-")[0]


def choose_means(choice: SupportChoice, used: Used) -> Means:
    """The fonts and sets that were not used, each once.

    Raises:
        ConfigError: None is left.
        SourceError: A font or set is not there.
    """
    fonts = {font.name: font for font in (find_fonts(choice.fonts) if choice.fonts else ())}
    old_fonts, old_sets = set(map(family, used.fonts)), set(map(family, used.sets))
    means = Means(
        tuple(font for name, font in fonts.items() if family(name) not in old_fonts),
        tuple(load_set(name) for name in choice.sets if family(name) not in old_sets),
    )
    if not means.fonts and not means.sets:
        raise ConfigError(
            "No font and no set of drawings is left that the run's own images do not use.",
            "Give others: --font FILE, FOLDER or PACKAGE, --set FOLDER.",
        )
    return means


def find_emoji(concepts: Iterable[tuple[str, str]]) -> list[FreshConcept]:
    """Concepts and categories, each with the emoji that show it: nano's list, else emoji of that very name."""
    known = {concept.concept: concept.emoji for concept in load_concepts()}
    named: dict[str, str] = {}
    for emoji, entry in load_emoji_names().items():
        named.setdefault(entry["en"].strip(":").replace("_", " ").lower(), emoji)
    return [
        FreshConcept(
            name, category, known.get(name) or tuple(filter(None, [named.get(name.lower())]))
        )
        for name, category in concepts
    ]


def iter_fresh(
    concepts: Sequence[FreshConcept], means: Means, choice: SupportChoice, used: Used
) -> Iterator[FreshImage]:
    """Fresh images, one concept after another; each depends on the concept, the means and the seed alone.

    A concept has no words where no font can draw its name, and no drawings where no set has its emoji or
    only colour tells it apart and the set has none.
    """
    for concept in concepts:
        for image in (*_words(concept, means, choice), *_drawings(concept, means, choice)):
            if image.sha256 not in used.hashes:
                yield image


def _words(concept: FreshConcept, means: Means, choice: SupportChoice) -> Iterator[FreshImage]:
    if not means.fonts:
        return
    options = WordOptions(
        fonts=tuple(str(font.path) for font in means.fonts),
        fonts_per_word=choice.images,
        placement="anywhere",
        size_frac=SIZES,
        inks=INKS,
        papers=PAPERS,
        rotation_deg=MAX_TURN_DEG,
        seed=choice.seed,
        size_px=choice.size_px,
    )
    word = Word(concept.concept, "en", concept.concept, concept.category)
    for item in iter_words([word], options):
        try:
            data = item.image if isinstance(item.image, bytes) else item.image()
        except ExampleError:  # no font has its letters
            continue
        font = str((item.stimulus or {}).get("font", ""))
        yield FreshImage(concept.concept, "rendered word", font, concept.concept, data)


def _drawings(concept: FreshConcept, means: Means, choice: SupportChoice) -> Iterator[FreshImage]:
    for drawings in means.sets:
        if concept.category in COLOURED and drawings.facet == "line drawing":
            continue
        draws = [
            draw for emoji in concept.emoji if (draw := drawings.drawings.get(plain_emoji(emoji)))
        ]
        for number in range(choice.images if draws else 0):
            rng = random.Random(f"{choice.seed}:{drawings.name}:{concept.concept}:{number}")
            card = _place(draws[number % len(draws)], rng, choice.size_px)
            yield FreshImage(concept.concept, drawings.facet, drawings.name, None, encode_png(card))


def _place(draw: Draw, rng: random.Random, size_px: int) -> Image.Image:
    """A drawing somewhere on a card, in some size, a little turned."""
    from PIL import Image

    drawn = draw(round(rng.uniform(*SIZES) * size_px))
    drawn = drawn.rotate(rng.uniform(-MAX_TURN_DEG, MAX_TURN_DEG), Image.Resampling.BICUBIC)
    card = Image.new("RGB", (size_px, size_px), rng.choice(PAPERS))
    room = size_px - drawn.width
    card.paste(drawn, (round(rng.random() * room), round(rng.random() * room)), drawn)
    return card
