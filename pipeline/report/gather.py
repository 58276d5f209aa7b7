"""Everything that the cards of neurons show, asked of the views by SQL: of one, or of many at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.base.storage import Store
from pipeline.nano.planted import load_planted
from pipeline.report.asking import Asker
from pipeline.report.card import Card, Group, HalleBerry, Probability, SampleBin
from pipeline.report.card_queries import SHOWING, name_these
from pipeline.report.card_rows import (
    EXAMPLE_COUNT,
    GROUP_COUNT,
    SAMPLE_COUNT,
    CardRows,
    Shown,
    ask_rows,
)
from pipeline.report.peaks import InImage, read_peaks
from pipeline.report.thumbnails import Picture, mark_place, name_pictures, read_pictures
from pipeline.warehouse.find import Neuron

if TYPE_CHECKING:
    import duckdb

__all__ = ["EXAMPLE_COUNT", "GROUP_COUNT", "PARTS", "SAMPLE_COUNT", "gather_card", "gather_cards"]

LANGUAGE_COUNT = 12
"""Languages of texts that are shown, those with most images first."""

MOST_HUMAN_CATEGORIES = 3
"""Categories that people wrote, that are drawn."""

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
    return gather_cards(connection, store, [neuron], parts)[neuron.unit]


def gather_cards(
    connection: duckdb.DuckDBPyConnection,
    store: Store | None,
    neurons: Sequence[Neuron],
    parts: Collection[str] = PARTS,
) -> dict[int, Card]:
    """The same of several neurons, by unit; each question is asked once for all.

    Args:
        connection: Of ``pipeline.connect``.
        store: The warehouse; None: the pictures have no pixels.
        neurons: At least one, all of one layer.
        parts: Of `PARTS`; the others are empty.

    Raises:
        WarehouseError: A tar has changed.
    """
    place, units = neurons[0], {neuron.unit for neuron in neurons}
    ask = Asker(connection, name_these(neurons))
    rows = ask_rows(ask, parts)
    ids = set().union(*(rows.images(unit) for unit in units))
    pictures = _read(connection, store, place.dataset, ids)
    showing = _find_showing(ask, rows, ids)
    kept = ("top_examples", "neuron_samples") if rows.samples else ("top_examples",)
    peaks = read_peaks(connection, ask.where, ids, kept) if ids else {}
    return {
        unit: _make_card(
            replace(place, unit=unit),
            rows,
            _Images(pictures, showing.get(unit, frozenset()), peaks.get(unit, {}), rows.layer.axis),
        )
        for unit in units
    }


@dataclass(frozen=True)
class _Images:
    """Images as the card of one neuron shows them."""

    pictures: Mapping[int, Picture]
    showing: frozenset[int]
    """Those that show its label."""
    peaks: Mapping[int, InImage]
    axis: str

    def show(self, rows: Iterable[Shown], with_peaks: bool = True) -> tuple[Picture, ...]:
        return tuple(
            replace(
                mark_place(
                    self.pictures[row.example_id],
                    self.peaks.get(row.example_id) if with_peaks else None,
                ),
                strength=row.strength,
                axis=self.axis,
                is_at_rest=row.is_at_rest,
                is_labelled=row.example_id in self.showing,
            )
            for row in rows
        )


def _make_card(neuron: Neuron, rows: CardRows, images: _Images) -> Card:
    layer, unit = rows.layer, neuron.unit
    (stats,), (label,) = rows.stats[unit], rows.labels[unit]
    examples, samples = rows.examples[unit], rows.samples[unit]
    near = [row.shown(stats, layer.axis) for row in rows.contrasting[unit]]
    return Card(
        dataset=neuron.dataset,
        run_id=neuron.run_id,
        layer=neuron.layer,
        unit=unit,
        unit_count=layer.unit_count,
        model_id=layer.model_id,
        is_random=layer.is_random,
        axis=layer.axis,
        tower=layer.tower,
        planted=planted_concept(layer.model_id, neuron.layer, unit),
        stats=stats,
        label=label,
        support=next(iter(rows.support[unit]), None),
        top=images.show(row.shown for row in examples if row.polarity == "positive"),
        bottom=images.show(row.shown for row in examples if row.polarity == "negative"),
        histogram=tuple(one.scaled(stats, layer.axis) for one in rows.bins[unit] if stats.sd),
        samples=tuple(
            SampleBin(left, right, images.show(s.shown for s in samples if s.left_sd == left))
            for left, right in sorted({(sample.left_sd, sample.right_sd) for sample in samples})
        ),
        halle_berry=_halle_berry(rows, unit),
        probabilities=_keep_few_people(rows.probabilities[unit]),
        clarity=next(iter(rows.clarity[unit]), None),
        groups=tuple(
            Group(
                group.group_size,
                group.concept,
                group.concept_count,
                images.show(map(Shown, group.ids[:GROUP_COUNT])),
            )
            for group in rows.groups[unit]
        ),
        contrasting=images.show(near, with_peaks=False),  # of most of them no peak is kept
        drawn=rows.drawn.get(unit, ()),
    )


def _read(
    connection: duckdb.DuckDBPyConnection, store: Store | None, dataset: str, ids: Collection[int]
) -> Mapping[int, Picture]:
    if store is None:
        return name_pictures(connection, dataset, ids)
    return read_pictures(connection, store, dataset, ids)


def _find_showing(ask: Asker, rows: CardRows, ids: Collection[int]) -> Mapping[int, frozenset[int]]:
    """Which of some images show the label of which neuron."""
    if not ids or not any(label.is_labelled for found in rows.labels.values() for label in found):
        return {}
    found = ask.connection.execute(SHOWING, {**ask.where, "ids": list(ids)}).fetchall()
    return {unit: frozenset(showing) for unit, showing in found}


def _halle_berry(rows: CardRows, unit: int) -> HalleBerry | None:
    candidates, strata = rows.candidates[unit], rows.strata[unit]
    if not candidates:
        return None
    texts = [stratum for stratum in strata if stratum.dimension == "text language"]
    return HalleBerry(
        *candidates[0],
        indices=tuple(rows.indices[unit]),
        strata=(
            *(stratum for stratum in strata if stratum.dimension != "text language"),
            *texts[:LANGUAGE_COUNT],
        ),
    )


def _keep_few_people(points: Sequence[Probability]) -> tuple[Probability, ...]:
    """All points, but of what people wrote those of a few categories; what is asked for stays together."""
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
