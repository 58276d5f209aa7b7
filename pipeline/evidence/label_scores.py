"""What the testing half says of each label: purity, detection and prediction, each beside two baselines.

The view ``label_evidence`` says what the scores mean. A label was chosen on the screening half of the images;
here that half says only where the neuron counts as firing, and whether it rises or falls with the concept. The
baselines are the same scores of another neuron's label, drawn at random among those of the run with another
name, and of concepts permuted among the images of each half.

FADE, Puri et al. 2025, arXiv:2502.16994 (purity); Paulo et al. 2024, arXiv:2410.13928 (detection); Bills et al.
2023, Language models can explain neurons in language models (prediction).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from pipeline.base.progress import ProgressCallback
from pipeline.evidence.matrix import RunLayer, example_ids, iter_blocks, list_layers
from pipeline.evidence.ranks import TESTING, Images, read_images
from pipeline.tables.computed import DERIVED

SEED = 0
"""Of what is drawn at random: other labels and permutations."""

MAX_DRAWS = 1000
"""Times that another label is drawn until one has another name."""

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Label:
    """A labelled neuron; the columns of ``tested_labels``."""

    layer: str
    unit: int
    concept: str
    category: str
    origin: str
    choices: tuple[str | None, ...]
    """What each of the methods chose."""

    def count(self, concept: str) -> int:
        """How many of the methods chose a concept."""
        return sum(choice == concept for choice in self.choices)


@dataclass(frozen=True)
class Ordered:
    """Different activations of one neuron for the images of a half, highest first."""

    values: Floats
    """``[G]``: these activations, falling."""
    ends: Ints
    """``[G]``: how many images are at or above each."""
    places: Ints
    """``[N]``: which of them each image has."""

    @classmethod
    def of(cls, values: Floats) -> Ordered:
        """Sort them, ``[N]``."""
        order = np.argsort(-values)  # equal ones in any order
        falling = values[order]
        ends = np.flatnonzero(falling[1:] != falling[:-1]) + 1
        ends = np.append(ends, len(values))
        places = np.empty(len(values), np.int64)
        places[order] = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        return cls(falling[ends - 1], ends, places)

    def count(self, shows: Bools) -> Ints:
        """``[G]``: how many of the images at or above each activation show a concept."""
        counts: Ints = np.cumsum(np.bincount(self.places[shows], minlength=len(self.ends)))
        return counts


def average_precision(ordered: Ordered, shows: Bools) -> float:
    """Sum over the activations of the precision at each, times the share of positives that it adds.

    Equal activations count together, as in scikit-learn. NaN if none shows the concept.
    """
    if not shows.any():
        return float("nan")
    found = ordered.count(shows)
    added = np.diff(found, prepend=0)
    return float((added * (found / ordered.ends)).sum() / found[-1])


def firing_threshold(ordered: Ordered, shows: Bools) -> float:
    """The activation from which on firing and a concept agree best (F1); of equally good ones the highest."""
    f1 = 2 * ordered.count(shows) / (ordered.ends + int(shows.sum()))
    return float(ordered.values[int(np.argmax(f1))])


def correlate(values: Floats, shows: Bools) -> float:
    """Pearson correlation of activations ``[N]`` with whether a concept is shown; NaN if either is constant."""
    centred = values.astype(float) - values.mean(dtype=float)
    told = shows - shows.mean()
    spread = float(np.sqrt((centred @ centred) * (told @ told)))
    return float(centred @ told) / spread if spread > 0 else float("nan")


@dataclass(frozen=True)
class Halves:
    """One neuron's activations on both halves of the images, and its near misses."""

    screening: Floats
    testing: Floats
    near_misses: Ints
    """Places in the testing half."""

    @cached_property
    def sorted_screening(self) -> Ordered:
        """The screening half, strongest first."""
        return Ordered.of(self.screening)

    @cached_property
    def sorted_testing(self) -> Ordered:
        """The testing half, strongest first."""
        return Ordered.of(self.testing)


@dataclass(frozen=True)
class Scores:
    """Of one neuron and concept; NaN where there is nothing to score."""

    purity: float
    detection: float
    prediction: float
    fired_count: int


def score_label(halves: Halves, screening: Bools, testing: Bools) -> Scores:
    """Score a concept.

    Args:
        halves: What the neuron does.
        screening: ``[N]``: which images of the screening half show it.
        testing: The same of the testing half.
    """
    threshold = firing_threshold(halves.sorted_screening, screening)
    fired = halves.testing >= threshold
    fired_count, detection = int(fired.sum()), float("nan")
    if fired_count and len(halves.near_misses):
        hits = float(testing[fired].mean())
        detection = (hits + float(1 - testing[halves.near_misses].mean())) / 2
    slope = np.sign(correlate(halves.screening, screening))
    return Scores(
        average_precision(halves.sorted_testing, testing),
        detection,
        float(slope) * correlate(halves.testing, testing) if slope else float("nan"),
        fired_count,
    )


def draw_others(labels: Sequence[Label]) -> list[Label | None]:
    """For each label another neuron's, of another name, drawn at random; None if there is only one name."""
    rng = np.random.default_rng(SEED)
    if len({label.concept for label in labels}) < 2:
        return [None] * len(labels)
    drawn = rng.integers(len(labels), size=len(labels))
    for _ in range(MAX_DRAWS):
        same = [n for n, m in enumerate(drawn) if labels[n].concept == labels[m].concept]
        if not same:
            break
        drawn[same] = rng.integers(len(labels), size=len(same))
    found = [labels[m] for m in drawn]
    return [o if o.concept != mine.concept else None for o, mine in zip(found, labels, strict=True)]


class Shown:
    """Which images of a run show a concept, as it is and permuted within each half.

    Args:
        images: The distinct images of the run.
    """

    def __init__(self, images: Images) -> None:
        self.is_testing = images.is_testing == TESTING
        self._columns = images.shown.tocsc()
        names = zip(*(images.concepts[n] for n in ("concept", "category", "origin")), strict=True)
        self._places = {name: place for place, name in enumerate(names)}
        rng = np.random.default_rng(SEED)
        self._order = np.arange(len(self.is_testing))
        for half in (~self.is_testing, self.is_testing):
            self._order[half] = rng.permutation(np.flatnonzero(half))

    def find(self, label: Label, permuted: bool = False) -> tuple[Bools, Bools]:
        """Of the images of the screening and of the testing half, in order of their ids."""
        column = self._places[(label.concept, label.category, label.origin)]
        shows = np.zeros(len(self.is_testing), bool)
        first, last = self._columns.indptr[column : column + 2]
        shows[self._columns.indices[first:last]] = True
        shows = shows[self._order] if permuted else shows
        return shows[~self.is_testing], shows[self.is_testing]


def compute_label_scores(
    connection: duckdb.DuckDBPyConnection, progress: ProgressCallback
) -> Iterator[pa.Table]:
    """Rows of ``label_scores``, a table for each layer that has a label."""
    run: tuple[str, str] | None = None
    for layer in list_layers(connection):
        if run != (layer.dataset, layer.run_id):
            run = (layer.dataset, layer.run_id)
            labels = _read_labels(connection, *run)
            others = draw_others(labels)
            shown = Shown(read_images(connection, *run))
        pairs = [p for p in zip(labels, others, strict=True) if p[0].layer == layer.layer]
        if pairs:
            scores = {} if layer.is_cut else _score_layer(connection, layer, pairs, shown)
            yield _table(layer, pairs, scores)
            progress.advance(0, f"label_scores: {layer.run_id} {layer.layer}")


Scored = tuple[Scores, Scores | None, Scores, int]
"""Of a label, of the other one, of the permuted one, and how many near misses there are."""


def _score_layer(
    connection: duckdb.DuckDBPyConnection,
    layer: RunLayer,
    pairs: Sequence[tuple[Label, Label | None]],
    shown: Shown,
) -> dict[int, Scored]:
    """By unit."""
    by_unit = {label.unit: (label, other) for label, other in pairs}
    ids = example_ids(connection, layer.dataset, layer.run_id)
    testing = shown.is_testing
    misses = _read_near_misses(connection, layer, ids[testing])
    scores: dict[int, Scored] = {}
    for block in iter_blocks(connection, layer, ids):
        for unit, values in enumerate(block.activations, block.first_unit):
            if unit not in by_unit:
                continue
            label, other = by_unit[unit]
            near = misses.get(unit, np.zeros(0, np.int64))
            halves = Halves(values[~testing], values[testing], near)
            scores[unit] = (
                score_label(halves, *shown.find(label)),
                score_label(halves, *shown.find(other)) if other else None,
                score_label(halves, *shown.find(label, permuted=True)),
                len(near),
            )
    return scores


def _read_labels(connection: duckdb.DuckDBPyConnection, dataset: str, run_id: str) -> list[Label]:
    rows = connection.execute(
        """
        select
            layer, unit, concept, category, origin, enrichment_concept, auroc_concept,
            soft_wpmi_concept
        from tested_labels
        where dataset = $dataset and run_id = $run_id and is_labelled
        order by layer, unit
        """,
        {"dataset": dataset, "run_id": run_id},
    ).fetchall()
    return [
        Label(layer, unit, concept, category, origin, tuple(choices))
        for layer, unit, concept, category, origin, *choices in rows
    ]


def _read_near_misses(
    connection: duckdb.DuckDBPyConnection, layer: RunLayer, testing_ids: Ints
) -> dict[int, Ints]:
    """By unit, places in the testing half of its contrasting examples that are there."""
    found = connection.execute(
        """
        select unit, list(example_id order by contrast_rank) from raw_contrasting_examples
        where dataset = $dataset and run_id = $run_id and layer = $layer
        group by unit
        """,
        {"dataset": layer.dataset, "run_id": layer.run_id, "layer": layer.layer},
    ).fetchall()
    return {unit: np.flatnonzero(np.isin(testing_ids, ids)) for unit, ids in found}


def _table(
    layer: RunLayer,
    pairs: Sequence[tuple[Label, Label | None]],
    scores: dict[int, Scored],
) -> pa.Table:
    found = [scores.get(label.unit) for label, _ in pairs]
    columns: list[Sequence[object]] = [
        *([name] * len(pairs) for name in (layer.dataset, layer.run_id, layer.layer)),
        [label.unit for label, _ in pairs],
        *(
            [getattr(label, name) for label, _ in pairs]
            for name in ("concept", "category", "origin")
        ),
        [other and other.concept for _, other in pairs],
        [
            label.count(other.concept) if other and not layer.is_cut else None
            for label, other in pairs
        ],
        [
            other.count(label.concept) if other and not layer.is_cut else None
            for label, other in pairs
        ],
        *_three(found, "purity"),
        *_three(found, "detection"),
        [scored and scored[0].fired_count for scored in found],
        [scored and scored[3] for scored in found],
        *_three(found, "prediction"),
    ]
    schema = DERIVED["label_scores"].arrow_schema()
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
    return pa.table(arrays, schema=schema)


def _three(found: Sequence[Scored | None], name: str) -> Iterator[list[float | None]]:
    """A score of the labels, of the other ones, and of the permuted ones."""
    for place in range(3):
        of_all = (scored and scored[place] for scored in found)
        values = (getattr(scores, name) if scores else None for scores in of_all)
        yield [None if value is None or np.isnan(value) else float(value) for value in values]
