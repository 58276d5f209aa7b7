"""Animals, food, things, emotions and professions, by the short names of their emoji."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.concepts.make.cldr import Cldr, EmojiName, language_of
from pipeline.concepts.make.families import EMOTIONS, FAMILIES, NAMES, PROFESSIONS, RELIGIONS
from pipeline.concepts.make.terms import Term, without_brackets


def iter_things(cldr: Cldr) -> Iterator[Term]:
    """Every concept that an emoji stands for, by the emoji's name in each language."""
    english = cldr.emoji("en")
    concepts = _concepts_of(english)
    for text, pairs in concepts.items():
        name = english[text].name
        for concept, category in pairs:
            if concept != name and category != "emotion":
                yield Term(concept, category, "en", concept, "cldr")
    for locale in cldr.annotated:
        for text, entry in cldr.emoji(locale).items():
            for concept, category in concepts.get(text, ()):
                phrase = without_brackets(entry.name)
                yield Term(concept, category, language_of(locale), phrase, "cldr")


def points_of(ranges: str) -> set[int]:
    """Code points of ``"1F400-1F402 1F54A"``."""
    points: set[int] = set()
    for item in ranges.split():
        first, _, last = item.partition("-")
        points.update(range(int(first, 16), int(last or first, 16) + 1))
    return points


def _concepts_of(english: dict[str, EmojiName]) -> dict[str, list[tuple[str, str]]]:
    """Concepts and families by emoji."""
    families = {family: points_of(ranges) for family, ranges in FAMILIES.items()}
    emotions = {
        point: concept for concept, points in EMOTIONS.items() for point in points_of(points)
    }
    found: dict[str, list[tuple[str, str]]] = {}
    for text, (name, _) in english.items():
        if len(text) > 1:
            bare = re.sub(r"^(man|woman) ", "", name)
            found[text] = [(bare, "person_trait")] if bare in PROFESSIONS else []
            continue
        point = ord(text)
        of_point = sorted(family for family, points in families.items() if point in points)
        found[text] = [(_concept(name, point, family), family) for family in of_point]
        if point in emotions:
            found[text].append((emotions[point], "emotion"))
    return found


def _concept(name: str, point: int, family: str) -> str:
    if family == "religion":
        return RELIGIONS[point]
    if family == "animal":
        name = re.sub(r" face$|^spouting |^front-facing |^hatching |^two-hump ", "", name)
    return NAMES.get(name, name)
