"""The concepts of the tiny CLIP: what each is called, and which emoji show it.

``concepts.csv`` was written by hand. Every concept and word is in the lexicon of
:mod:`pipeline.concepts.lexicon`, so that labelling can name what a neuron has learned.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pipeline.base.errors import SourceError

LANGUAGES = ("en", "es", "fr", "de")
"""Languages in which every concept has a word."""


@dataclass(frozen=True)
class NanoConcept:
    """One concept of the tiny CLIP."""

    concept: str
    """Its name in the lexicon."""
    category: str
    """Its family in the lexicon."""
    emoji: tuple[str, ...]
    """One to three emoji that show it, the most typical first."""
    words: Mapping[str, str]
    """Language -> its word, spelled as a dictionary does."""


@cache
def load_concepts() -> tuple[NanoConcept, ...]:
    """The packaged concepts, in the file's order.

    Raises:
        SourceError: A name, an emoji or a word (in one language) stands for two concepts, or a
            field is empty.
    """
    text = (resources.files(__package__) / "concepts.csv").read_text(encoding="utf-8")
    return read_concepts(text)


def read_concepts(text: str) -> tuple[NanoConcept, ...]:
    """Concepts of a CSV text with the columns concept, category, emoji and the languages.

    Raises:
        SourceError: As :func:`load_concepts`.
    """
    concepts = tuple(
        NanoConcept(
            row["concept"],
            row["category"],
            tuple(row["emoji"].split()),
            {language: row[language] for language in LANGUAGES},
        )
        for row in csv.DictReader(io.StringIO(text))
    )
    for concept in concepts:
        if not (concept.concept and concept.category and concept.emoji):
            raise _error(f"{concept} lacks a field")
        if not all(concept.words.values()):
            raise _error(f"{concept.concept!r} lacks a word")
    _check_unique("concept", (concept.concept for concept in concepts))
    _check_unique("emoji", (emoji for concept in concepts for emoji in concept.emoji))
    for language in LANGUAGES:
        words = (concept.words[language].lower() for concept in concepts)
        _check_unique(f"word ({language})", words)
    return concepts


def _check_unique(what: str, values: Iterable[str]) -> None:
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise _error(f"{what} stands twice: {', '.join(repeated)}")


def _error(problem: str) -> SourceError:
    return SourceError(
        f"concepts.csv: {problem}.",
        "Give every concept a name, a category, its own emoji and a word in each language.",
    )
