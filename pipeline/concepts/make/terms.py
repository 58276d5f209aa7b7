"""A row of the lexicon, and the one spelling of its phrases."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple


class Term(NamedTuple):
    """One row of the lexicon."""

    concept: str
    category: str
    language: str
    phrase: str
    source: str


def spell(text: str) -> str:
    """One spelling: composed, single spaces, no invisible marks, Arabic without vowel signs."""
    text = unicodedata.normalize("NFC", text)
    visible = (char for char in text if unicodedata.category(char) != "Cf" or char in _JOINERS)
    text = " ".join("".join(visible).split())
    return re.sub("[\u064b-\u0652]", "", text)


_JOINERS = frozenset("\u200c\u200d")  # they tell words of Persian and Indic scripts apart


def without_brackets(name: str) -> str:
    """``Cocos (Keeling) Islands`` without its note."""
    name = name.replace("（", "(").replace("）", ")")
    return spell(re.sub(r"\([^()]*\)", " ", name))


def in_brackets(name: str) -> str:
    """``Burma`` of ``Myanmar (Burma)``; empty without brackets."""
    match = re.search(r"\(([^()]+)\)", name.replace("（", "(").replace("）", ")"))
    return spell(match[1]) if match else ""


def words(text: str) -> frozenset[str]:
    """Words of a list that is written as text."""
    return frozenset(text.split())


def pairs(text: str) -> dict[str, str]:
    """``"a = b; c = d"`` as a dictionary."""
    entries = (" ".join(entry.split()).partition(" = ") for entry in text.split(";"))
    return {key: value for key, _, value in entries}
