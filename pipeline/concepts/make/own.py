"""Our own words, ``terms.txt``, and what we strike of the public lists, ``misnomers.csv``."""

from __future__ import annotations

import csv
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


def read_misnomers() -> str:
    """The text of ``misnomers.csv``: concept, category, language, and a phrase that some list has for it.

    It hardly ever means this concept in a caption, but may mean another; what is better left out whatever it is
    listed for says ``keep``.
    """
    file = resources.files("pipeline.concepts") / "misnomers.csv"
    return file.read_text(encoding="utf-8")


def iter_misnomers() -> Iterator[tuple[str, str, str, str]]:
    """What it lists."""
    for row in csv.DictReader(read_misnomers().splitlines()):
        yield row["concept"], row["category"], row["language"], row["phrase"]
