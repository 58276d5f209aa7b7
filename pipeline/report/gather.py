"""Everything that a neuron's card shows, asked of the views by SQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.storage import Store
from pipeline.nano.planted import load_planted
from pipeline.report import card_queries as queries
from pipeline.report.asking import Asker, Row
from pipeline.report.card import (
    Card,
    Clarity,
    Group,
    HalleBerry,
    HistogramBin,
    Index,
    Label,
    Probability,
    SampleBin,
    Stats,
    Stratum,
    SupportScores,
)
from pipeline.report.drawn import read_drawn
from pipeline.report.peaks import read_peaks
from pipeline.report.thumbnails import Picture, mark_place, name_pictures, read_pictures
from pipeline.warehouse.find import Neuron
from pipeline.warehouse.layer_axes import read_axis

if TYPE_CHECKING:
    import duckdb

EXAMPLE_COUNT = 12
"""Top and bottom examples on a card; also contrasting ones."""

GROUP_COUNT = 5
"""Examples of each group of top examples."""

SAMPLE_COUNT = 12
"""Sampled examples of each bin, at most."""

LANGUAGE_COUNT = 12
"""Languages of texts that are shown, those with most images first."""

MOST_HUMAN_CATEGORIES = 3
"""Categories that people wrote, that are drawn."""


class _Model(NamedTuple):
    model_id: str
    tower: str
    is_random: bool


class _Shown(NamedTuple):
    """An example on the card, and its activation there."""

    example_id: int
    strength: float | None = None
    """On the card's axis."""
    is_at_rest: bool = False


class _Example(NamedTuple):
    polarity: str
    example_id: int
    strength: float | None
    is_at_rest: bool

    @property
    def shown(self) -> _Shown:
        return _Shown(*self[1:])


class _Sample(NamedTuple):
    left_sd: float
    right_sd: float
    example_id: int
    strength: float | None
    is_at_rest: bool

    @property
    def shown(self) -> _Shown:
        return _Shown(*self[2:])


class _Group(NamedTuple):
    group_size: int
    concept: str | None
    concept_count: int
    ids: list[int]
    """Its examples, best first."""


class _Candidate(NamedTuple):
    concept: str
    category: str
    origin: str


PARTS = frozenset(
    (
        *("support", "examples", "distribution", "facets", "probability", "clarity"),
        *("contrasting", "drawn"),
    )
)
"""What can be left out of a card: its scores of support, both ends, histogram with samples, and so on."""


def gather_card(
    connection: duckdb.DuckDBPyConnection,
    store: Store | None,
    neuron: Neuron,
    parts: Collection[str] = PARTS,
) -> Card:
    """Ask the views for everything that a card shows.

    Args:
        connection: Of ``pipeline.connect``.
        store: The warehouse; None: the pictures have no pixels.
        neuron: Of ``find.find_neuron``.
        parts: Of `PARTS`; the others are empty.

    Raises:
        WarehouseError: A tar has changed.
    """
    ask = Asker(connection, neuron.parameters)
    (model,), (stats,), (label,) = (
        ask(queries.MODEL, _Model),
        ask(queries.STATS, Stats),
        ask(queries.LABEL, Label),
    )
    axis = read_axis(connection, neuron)
    scale = {"sd": stats.sd, "origin": stats.mean if axis == "z" else 0.0}
    ends = {"min": stats.min, "max": stats.max, "is_cut": axis == "z"}

    def ask_for(part: str, query: str, kind: Callable[..., Row], **more: object) -> list[Row]:
        return ask(query, kind, **more) if part in parts else []

    bins = (
        ask_for("distribution", queries.HISTOGRAM, HistogramBin, **scale, **ends)
        if stats.sd
        else []
    )
    examples = ask_for("examples", queries.EXAMPLES, _Example, axis=axis, count=EXAMPLE_COUNT)
    samples = ask_for("distribution", queries.SAMPLES, _Sample, axis=axis, count=SAMPLE_COUNT)
    groups = ask_for("clarity", queries.GROUPS, _Group)
    contrasting = ask_for("contrasting", queries.CONTRASTING, _Shown, **scale, count=EXAMPLE_COUNT)
    ids = {row.example_id for row in (*(e.shown for e in examples), *(s.shown for s in samples))}
    ids.update(row.example_id for row in contrasting)
    ids.update(i for group in groups for i in group.ids[:GROUP_COUNT])
    pictures = _framed(ask, label, _read(connection, store, neuron.dataset, ids))
    kept = ("top_examples", "neuron_samples") if samples else ("top_examples",)
    peaks = read_peaks(connection, ask.where, ids, kept)

    def show(rows: Iterable[_Shown], with_peaks: bool = True) -> tuple[Picture, ...]:
        return tuple(
            replace(
                mark_place(
                    pictures[row.example_id], peaks.get(row.example_id) if with_peaks else None
                ),
                strength=row.strength,
                axis=axis,
                is_at_rest=row.is_at_rest,
            )
            for row in rows
        )

    edges = sorted({(sample.left_sd, sample.right_sd) for sample in samples})
    return Card(
        dataset=neuron.dataset,
        run_id=neuron.run_id,
        layer=neuron.layer,
        unit=neuron.unit,
        model_id=model.model_id,
        is_random=model.is_random,
        axis=axis,
        tower=model.tower,
        planted=planted_concept(model.model_id, neuron.layer, neuron.unit),
        stats=stats,
        label=label,
        support=next(iter(ask_for("support", queries.SUPPORT, SupportScores)), None),
        top=show(row.shown for row in examples if row.polarity == "positive"),
        bottom=show(row.shown for row in examples if row.polarity == "negative"),
        histogram=tuple(bins),
        samples=tuple(
            SampleBin(left, right, show(s.shown for s in samples if s.left_sd == left))
            for left, right in edges
        ),
        halle_berry=_halle_berry(ask) if "facets" in parts else None,
        probabilities=_probabilities(ask, label) if "probability" in parts else (),
        clarity=next(iter(ask_for("clarity", queries.CLARITY, Clarity)), None),
        groups=tuple(
            Group(
                group.group_size,
                group.concept,
                group.concept_count,
                show(map(_Shown, group.ids[:GROUP_COUNT])),
            )
            for group in groups
        ),
        contrasting=show(contrasting, with_peaks=False),  # of most of them no peak is kept
        drawn=read_drawn(ask) if "drawn" in parts else (),
    )


def _read(
    connection: duckdb.DuckDBPyConnection, store: Store | None, dataset: str, ids: Collection[int]
) -> Mapping[int, Picture]:
    if store is None:
        return name_pictures(connection, dataset, ids)
    return read_pictures(connection, store, dataset, ids)


def _framed(ask: Asker, label: Label, pictures: Mapping[int, Picture]) -> dict[int, Picture]:
    """Say of each picture whether it shows the label."""
    if not label.is_labelled or not pictures:
        return dict(pictures)
    rows = ask.connection.execute(
        queries.SHOWING,
        {
            "dataset": ask.where["dataset"],
            "run_id": ask.where["run_id"],
            "concept": label.concept,
            "category": label.category,
            "ids": list(pictures),
        },
    ).fetchall()
    showing = {example_id for (example_id,) in rows}
    return {i: replace(picture, is_labelled=i in showing) for i, picture in pictures.items()}


def _halle_berry(ask: Asker) -> HalleBerry | None:
    candidates = ask(queries.CANDIDATE, _Candidate)
    if not candidates:
        return None
    strata = ask(queries.STRATA, Stratum)
    texts = [stratum for stratum in strata if stratum.dimension == "text language"]
    return HalleBerry(
        *candidates[0],
        indices=tuple(ask(queries.INDICES, Index)),
        strata=(
            *(stratum for stratum in strata if stratum.dimension != "text language"),
            *texts[:LANGUAGE_COUNT],
        ),
    )


def _probabilities(ask: Asker, label: Label) -> tuple[Probability, ...]:
    named = {"origin": label.origin, "category": label.category, "concept": label.concept}
    points = ask(queries.PROBABILITIES, Probability, **named)
    people = list(dict.fromkeys(point.what for point in points if point.is_human))
    left_out = people[MOST_HUMAN_CATEGORIES:]
    whats = list(dict.fromkeys(point.what for point in points if point.what not in left_out))
    return tuple(point for what in whats for point in points if point.what == what)


def planted_concept(model_id: str, layer: str, unit: int) -> str | None:
    """What nano was trained to have this neuron stand for."""
    if model_id != "nano" or layer != "visual.layer4.0.act3:input:max":
        return None
    found = [p for p in load_planted() if p.channel == unit]
    return f"{found[0].concept}, {found[0].facets}" if found else None
