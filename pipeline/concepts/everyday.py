"""Everyday words of captions, ``everyday.txt``: more phrases for concepts that the lexicon has."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from importlib import resources

EVERYDAY = "everyday.txt"


def read_everyday() -> str:
    """The text of the file."""
    return (resources.files(__package__) / EVERYDAY).read_text(encoding="utf-8")


def iter_everyday() -> Iterator[tuple[str, str, str, str]]:
    """Concept, category, language and phrase, in the order of the file."""
    category = ""
    for line in filter(None, map(str.strip, read_everyday().splitlines())):
        if line.startswith("["):
            category = line.strip("[]")
        elif not line.startswith("#"):
            english, *others = line.split(";")
            concept = english.split(" / ")[0].strip()
            listed = [tuple(other.split(":", 1)) for other in others]
            if "en" not in {language.strip() for language, _ in listed}:
                listed.append(("en", english))
            for language, phrases in listed:
                for phrase in phrases.split(" / "):
                    yield (
                        concept,
                        category,
                        language.strip(),
                        unicodedata.normalize("NFC", phrase.strip()),
                    )
