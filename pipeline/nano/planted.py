"""The list of nano's planted neurons, which ships beside its weights. They are supervised, not found."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BOTH_FACETS = "pictures and words"
"""``facets`` of a neuron that should answer to a concept however it is shown."""


@dataclass(frozen=True)
class PlantedNeuron:
    """One channel of nano's last block that was trained to stand for something."""

    channel: int
    """Unit of the layer ``visual.layer4.0.act3`` (input, max)."""
    concept: str
    """A concept, or a category where ``scope`` says so."""
    category: str
    scope: str
    """``concept`` or ``category``."""
    facets: str
    """``BOTH_FACETS``, or the only facet that it is planted for: ``pictures`` or ``words``."""
    is_asserted: bool
    """Whether it was above AUROC 0.95 on held-out pictures and words; the tests rely on these."""


@cache
def load_planted() -> tuple[PlantedNeuron, ...]:
    """All planted neurons, by channel."""
    path = Path(__file__).with_name("planted.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(
            PlantedNeuron(
                int(row["channel"]),
                row["concept"],
                row["category"],
                row["scope"],
                row["facets"],
                row["is_asserted"] == "true",
            )
            for row in csv.DictReader(file)
        )
