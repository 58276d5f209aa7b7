"""Neurons that say so: which answer to a part of an image as they did to the whole, and not without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.clip.hooks import Layer
from pipeline.look.excited import Statistics, read_labels
from pipeline.warehouse.stale import why_stale

if TYPE_CHECKING:
    import duckdb

    from pipeline.look.read import Reading
    from pipeline.warehouse.find import FoundRun

SHOWN = 3
LEAST_SD = 1.0
"""By how many standard deviations of the run a neuron must fall."""


@dataclass(frozen=True)
class Reader:
    """A neuron that answers to a word."""

    layer: str
    unit: int
    label: str
    before: float
    """Its strength, whole image; on the layer's axis, in standard deviations of the run."""
    after: float
    """Without the part."""
    alone: float
    """The part alone."""
    axis: str
    word_auroc: float | None
    """How well it tells written words of the concept from other words (``neuron_facets``, testing half); None
    if it does not, or was not tested."""

    @property
    def fall(self) -> float:
        """What it owes to the part: both lost without it, and there with it alone."""
        return min(self.before, self.alone) - self.after


def find_readers(
    connection: duckdb.DuckDBPyConnection,
    run: FoundRun,
    concept: str,
    statistics: Mapping[str, Statistics],
    layers: Sequence[Layer],
    whole: Reading,
    changed: Reading,
) -> tuple[Reader, ...]:
    """Those that fall most; first those that are known to read words of the concept.

    Args:
        connection: Of ``pipeline.connect``.
        run: The run.
        concept: What the part says.
        statistics: Of each layer's neurons, by its name.
        layers: Whose neurons.
        whole: The image.
        changed: The image without the part, then the part alone.
    """
    found: list[Reader] = []
    for layer in layers:
        stats = statistics[layer.name]
        before = stats.strength(whole.activations[layer.name][0].double().numpy())
        after, alone = stats.strength(changed.activations[layer.name].double().numpy())
        with np.errstate(invalid="ignore"):
            fall = np.minimum(before, alone) - after
        fall = np.where(np.isfinite(fall), fall, -np.inf)
        known = _read_word_aurocs(connection, run, layer.name, concept)
        falling: list[int] = np.flatnonzero(fall >= LEAST_SD).tolist()
        units = sorted(falling, key=lambda unit: (unit not in known, -fall[unit]))[:SHOWN]
        labels = read_labels(connection, run, layer.name, units)
        found += [
            Reader(
                layer.name,
                unit,
                labels.get(unit, ("unlabelled", ""))[0],
                float(before[unit]),
                float(after[unit]),
                float(alone[unit]),
                stats.axis,
                known.get(unit),
            )
            for unit in units
        ]
    found.sort(key=lambda one: (one.word_auroc is None, -one.fall))
    return tuple(found[:SHOWN])


def _read_word_aurocs(
    connection: duckdb.DuckDBPyConnection, run: FoundRun, layer: str, concept: str
) -> dict[int, float]:
    """Of the neurons that pass the test on written words of a concept, their AUROC there."""
    if why_stale(connection) is not None:
        return {}
    rows = connection.execute(
        """
        select unit, max(auroc) from neuron_facets
        where
            dataset = $dataset and run_id = $run_id and layer = $layer and concept = $concept
            and dimension = 'facet' and stratum = 'rendered word' and is_tested and not is_failed
        group by unit
        """,
        {"dataset": run.dataset, "run_id": run.run_id, "layer": layer, "concept": concept},
    ).fetchall()
    return dict(rows)
