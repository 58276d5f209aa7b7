"""Rules by hand, phrases that name no concept and words that tell what others mean: ``phrases.RULES``.

``rules.csv`` has those that are of no concept, ``senses.csv`` the phrases that mean their concept only in some
company.
"""

from __future__ import annotations

import csv
from importlib import resources

RULES_FILE = "rules.csv"
SENSES_FILE = "senses.csv"


def read_rules() -> list[dict[str, str]]:
    """Rows of rule, language and phrase."""
    return _read(RULES_FILE)


def read_senses() -> list[dict[str, str]]:
    """Rows of rule, language, phrase, concept, category; ``forms`` are beginnings of words, joined by ``|``."""
    return _read(SENSES_FILE)


def _read(name: str) -> list[dict[str, str]]:
    text = (resources.files(__package__) / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
