"""Our own words: ``terms.txt``."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

from pipeline.concepts.make.terms import Term, spell


def read_own_words() -> str:
    """The text of ``terms.txt``, whose head says how it is written."""
    file = resources.files("pipeline.concepts") / "terms.txt"
    return file.read_text(encoding="utf-8")


def iter_own_terms() -> Iterator[Term]:
    """What it lists."""
    category = ""
    for raw in read_own_words().splitlines():
        line = raw.strip()
        if line.startswith("["):
            category = line.strip("[]")
        elif line and not line.startswith("#"):
            english, *others = line.split(";")
            phrases = [("en", english), *(part.split(":", 1) for part in others)]
            concept = english.split(" / ")[0].strip()
            for language, listed in phrases:
                for phrase in listed.split(" / "):
                    yield Term(concept, category, language.strip(), spell(phrase), "ours")
