"""Which attacked images are asked for, as an address says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipeline.web.asked import Asked

OUTCOMES = {
    "changed": "changed to the word",
    "already": "the word's class before",
    "changed_away": "changed to a third class",
    "unchanged": "unchanged",
}
"""Of an attack, and in words."""


@dataclass(frozen=True)
class AttackFilter(Asked):
    """Which images of which classes, and how they came out."""

    CHOICES: ClassVar = {"outcome": ("", *OUTCOMES)}

    class_set: str = ""
    """The first one by default."""
    text: str = ""
    """What is written on the images; empty for all."""
    placement: str = ""
    outcome: str = ""
    """One of `OUTCOMES`, or empty for all."""
