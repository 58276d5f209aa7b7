"""What nano is trained for: CLIP's contrast, the names of its concepts, and the planted neurons."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from pipeline.nano.concepts import NanoConcept
from pipeline.nano.planted import BOTH_FACETS
from pipeline.train.compose import PICTURE, Batch

PICTURES, WORDS, BOTH = "pictures", "words", BOTH_FACETS
CONTROL_COUNT = 16
"""Concepts with two more channels: one planted for pictures only, one for words only."""
MARGIN, SHARPNESS = 0.5, 6.0
"""A planted channel is driven above MARGIN for what it stands for, and below it for all else."""


@dataclass(frozen=True)
class Planted:
    """One channel of the last block that is supervised."""

    channel: int
    concept: str
    """Name of a concept, or of a category if it stands for all of it."""
    category: str
    scope: str
    """``concept`` or ``category``."""
    facets: str
    """PICTURES, WORDS or BOTH."""


def plan_channels(concepts: Sequence[NanoConcept], channel_count: int) -> tuple[Planted, ...]:
    """Concepts first, in order, then categories, then the controls; the other channels are free."""
    rows = [(c.concept, c.category, "concept", BOTH) for c in concepts]
    categories = dict.fromkeys(c.category for c in concepts)
    rows += [(category, category, "category", BOTH) for category in categories]
    step = max(1, len(concepts) // CONTROL_COUNT)
    some = list(concepts[::step])[:CONTROL_COUNT]
    rows += [(c.concept, c.category, "concept", PICTURES) for c in some]
    rows += [(c.concept, c.category, "concept", WORDS) for c in some]
    if len(rows) > channel_count:
        raise ValueError(f"{len(rows)} planted channels do not fit into {channel_count}")
    return tuple(Planted(i, *row) for i, row in enumerate(rows))


class Targets:
    """Which planted channels should answer to which images."""

    def __init__(self, planted: Sequence[Planted], concepts: Sequence[NanoConcept]) -> None:
        self._is_member = torch.tensor(
            [
                [
                    c.concept == p.concept if p.scope == "concept" else c.category == p.category
                    for p in planted
                ]
                for c in concepts
            ]
        )
        self._for_pictures = torch.tensor([p.facets != WORDS for p in planted])[None]
        self._for_words = torch.tensor([p.facets != PICTURES for p in planted])[None]

    def of(self, batch: Batch) -> torch.Tensor:
        """1 where a planted channel should answer to an image: float32 ``[B, len(planted)]``."""
        is_picture = (batch.kind == PICTURE)[:, None]
        allowed = torch.where(is_picture, self._for_pictures, self._for_words)
        return (self._is_member[batch.concept] & allowed).float()


class Heads(nn.Module):
    """Parts that only training needs: a vector per concept, shared by images and texts."""

    def __init__(self, concept_count: int, embed_dim: int) -> None:
        super().__init__()
        self.concepts = nn.Parameter(torch.randn(concept_count, embed_dim) * 0.05)
        self.scale = nn.Parameter(torch.tensor(2.5))

    def forward(self, features: torch.Tensor, concept: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of unit features ``[B, D]`` against all concepts."""
        table = functional.normalize(self.concepts, dim=-1)
        logits = self.scale.exp().clamp(max=50) * features @ table.T
        return functional.cross_entropy(logits, concept, label_smoothing=0.05)


def contrast(images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """CLIP's symmetric cross-entropy over a batch of different concepts (Radford et al. 2021, fig. 3)."""
    logits = scale * images @ texts.T
    place = torch.arange(len(images))
    return (functional.cross_entropy(logits, place) + functional.cross_entropy(logits.T, place)) / 2


def plant(
    activations: torch.Tensor, targets: torch.Tensor, concept: torch.Tensor, concept_count: int
) -> torch.Tensor:
    """The loss of the planted channels.

    Args:
        activations: float32 ``[B, C, H, W]``, the last block's sum before its ReLU.
        targets: From :meth:`Targets.of`.
        concept: int64 ``[B]``.
        concept_count: The first channels are the concepts, in order.

    Returns:
        Cross-entropy over the concept channels, plus, for each planted channel by itself, the binary
        cross-entropy of being above the margin, with positives as heavy as all negatives together.
    """
    peak = activations[:, : targets.shape[1]].flatten(2).amax(-1).float()
    ranked = functional.cross_entropy(SHARPNESS * peak[:, :concept_count], concept)
    logits = SHARPNESS * (peak - MARGIN)
    each = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    positive = (each * targets).sum() / targets.sum().clamp(min=1)
    negative = (each * (1 - targets)).sum() / (1 - targets).sum()
    return 0.5 * ranked + 0.5 * positive + 2.0 * negative


def write_planted(planted: Sequence[Planted], is_asserted: Sequence[bool], path: Path) -> None:
    """Write the list that ships beside the weights."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["channel", "concept", "category", "scope", "facets", "is_asserted"])
        for row, asserted in zip(planted, is_asserted, strict=True):
            writer.writerow(
                [
                    row.channel,
                    row.concept,
                    row.category,
                    row.scope,
                    row.facets,
                    str(asserted).lower(),
                ]
            )
