"""What the views answer about some neurons of a layer, by unit: what `gather` makes cards of."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from pipeline.report import card_queries as queries
from pipeline.report.asking import Asker, Row
from pipeline.report.card import (
    Clarity,
    HistogramBin,
    Index,
    Label,
    Probability,
    Stats,
    Stratum,
    SupportScores,
)
from pipeline.report.drawn import DrawnPicture, read_drawn

EXAMPLE_COUNT = 12
"""Top and bottom examples on a card; also contrasting ones."""

GROUP_COUNT = 5
"""Examples of each group of top examples."""

SAMPLE_COUNT = 12
"""Sampled examples of each bin, at most."""

ByUnit = Mapping[int, list[Row]]


class Layer(NamedTuple):
    """What all neurons of a layer have in common."""

    model_id: str
    tower: str
    store: str
    is_cut: bool
    unit_count: int
    is_random: bool
    axis: str
    """``sd`` or ``z``."""
    has_similarity: bool


class Shown(NamedTuple):
    """An example on a card, and its activation there."""

    example_id: int
    strength: float | None = None
    """On the card's axis."""
    is_at_rest: bool = False


class Example(NamedTuple):
    """A top or bottom example."""

    polarity: str
    example_id: int
    strength: float | None
    is_at_rest: bool

    @property
    def shown(self) -> Shown:
        """Without its polarity."""
        return Shown(*self[1:])


class Sample(NamedTuple):
    """A sampled example of a bin."""

    left_sd: float
    right_sd: float
    example_id: int
    strength: float | None
    is_at_rest: bool

    @property
    def shown(self) -> Shown:
        """Without its bin."""
        return Shown(*self[2:])


class GroupOfTop(NamedTuple):
    """Top examples that look alike."""

    group_size: int
    concept: str | None
    concept_count: int
    ids: list[int]
    """Its examples, best first."""


class Candidate(NamedTuple):
    """The concept that was tested first."""

    concept: str
    category: str
    origin: str


class Contrasting(NamedTuple):
    """A near miss."""

    example_id: int
    activation: float

    def shown(self, stats: Stats, axis: str) -> Shown:
        """With its activation on an axis; none of a neuron without spread."""
        origin = stats.mean if axis == "z" else 0.0
        strength = (self.activation - origin) / stats.sd if stats.sd else None
        return Shown(self.example_id, strength, self.activation == 0)


class Bin(NamedTuple):
    """A bin of ``neuron_histograms``."""

    bin_left: float
    bin_right: float
    example_count: int

    def scaled(self, stats: Stats, axis: str) -> HistogramBin:
        """With its edges on an axis. It ends where the activations do if its edge is infinite; of z always."""
        is_z = axis == "z"
        origin = stats.mean if is_z else 0.0
        left, right = self.bin_left, self.bin_right
        left = max(left, stats.min) if is_z or math.isinf(left) else left
        right = min(right, stats.max) if is_z or math.isinf(right) else right
        return HistogramBin(
            (left - origin) / stats.sd, (right - origin) / stats.sd, self.example_count
        )


@dataclass(frozen=True)
class CardRows:
    """Answers about neurons of a layer. What a neuron has none of is empty."""

    layer: Layer
    stats: ByUnit[Stats]
    labels: ByUnit[Label]
    support: ByUnit[SupportScores]
    examples: ByUnit[Example]
    bins: ByUnit[Bin]
    samples: ByUnit[Sample]
    candidates: ByUnit[Candidate]
    indices: ByUnit[Index]
    strata: ByUnit[Stratum]
    probabilities: ByUnit[Probability]
    clarity: ByUnit[Clarity]
    groups: ByUnit[GroupOfTop]
    contrasting: ByUnit[Contrasting]
    drawn: Mapping[int, tuple[DrawnPicture, ...]]

    def images(self, unit: int) -> set[int]:
        """All that the card of a neuron shows."""
        ids = {row.example_id for row in self.examples[unit]}
        ids.update(row.example_id for row in self.samples[unit])
        ids.update(row.example_id for row in self.contrasting[unit])
        ids.update(i for group in self.groups[unit] for i in group.ids[:GROUP_COUNT])
        return ids


def ask_rows(ask: Asker, parts: Collection[str]) -> CardRows:
    """Ask each question once.

    Args:
        ask: ``dataset``, ``run_id``, ``layer``, and ``units``.
        parts: Of `gather.PARTS`; the others are empty.

    Raises:
        WarehouseError: A picture that a neuron drew is gone.
    """

    def ask_for(part: str, query: str, kind: Callable[..., Row], **more: object) -> ByUnit[Row]:
        return ask.by_unit(query, kind, **more) if part in parts else defaultdict(list)

    of_layer = {name: value for name, value in ask.where.items() if name != "units"}
    (layer,) = Asker(ask.connection, of_layer)(queries.LAYER, Layer)
    label = partial(
        Label, store=layer.store, is_cut=layer.is_cut, has_similarity=layer.has_similarity
    )
    on_axis = {"axis": layer.axis}
    return CardRows(
        layer=layer,
        stats=ask.by_unit(queries.STATS, Stats),
        labels=ask.by_unit(queries.LABEL, label),
        support=ask_for("support", queries.SUPPORT, SupportScores),
        examples=ask_for("examples", queries.EXAMPLES, Example, **on_axis, count=EXAMPLE_COUNT),
        bins=ask_for("distribution", queries.HISTOGRAM, Bin),
        samples=ask_for("distribution", queries.SAMPLES, Sample, **on_axis, count=SAMPLE_COUNT),
        candidates=ask_for("facets", queries.CANDIDATE, Candidate),
        indices=ask_for("facets", queries.INDICES, Index),
        strata=ask_for("facets", queries.STRATA, Stratum),
        probabilities=ask_for("probability", queries.PROBABILITIES, Probability),
        clarity=ask_for("clarity", queries.CLARITY, Clarity),
        groups=ask_for("clarity", queries.GROUPS, GroupOfTop),
        contrasting=ask_for("contrasting", queries.CONTRASTING, Contrasting, count=EXAMPLE_COUNT),
        drawn=read_drawn(ask) if "drawn" in parts else {},
    )
