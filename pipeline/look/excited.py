"""The neurons that an image excites most, layer by layer, and images of the run that excite the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.clip.hooks import Layer
from pipeline.maps.compute import ActivationMap
from pipeline.warehouse.layer_axes import AXES
from pipeline.warehouse.stale import why_stale

if TYPE_CHECKING:
    import duckdb

    from pipeline.look.read import Reading
    from pipeline.warehouse.find import FoundRun

Floats = np.ndarray[Any, np.dtype[np.float64]]

EXAMPLES = 8
"""How many images of the run are shown of each neuron, and of several at once."""
ALIKE_FROM = 100
"""Of each neuron, its strongest examples among which images that excite several are looked for."""


@dataclass(frozen=True)
class Statistics:
    """Of the neurons of a layer over the whole run; float64 ``[U]``."""

    mean: Floats
    sd: Floats
    highest: Floats
    axis: str
    """``sd``: from zero; ``z``: from each neuron's mean (view ``layer_axes``)."""

    def strength(self, activations: Floats) -> Floats:
        """Activations ``[..., U]`` on the layer's axis; minus infinity of neurons without spread."""
        middle = self.mean if self.axis == "z" else 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            found = (activations - middle) / self.sd
        return np.where(self.sd > 0, found, -np.inf)


@dataclass(frozen=True)
class Excited:
    """A neuron that an image excites."""

    layer: Layer
    unit: int
    activation: float
    strength: float
    """On the layer's axis, in standard deviations of the run."""
    axis: str
    is_beyond: bool
    """No image of the run excites it as much."""
    label: str
    """``concept (category)``, or why there is none."""
    support: str
    """How many independent scores support the label, as ``3 of 4``; empty if none was measured."""
    is_labelled: bool
    map: ActivationMap | None
    """Its own; None of a layer with one activation an image."""
    example_ids: tuple[int, ...] = ()
    """The images of the run that excite it most, strongest first."""


@dataclass(frozen=True)
class LayerFound:
    """What one layer says."""

    layer: Layer
    axis: str
    neurons: tuple[Excited, ...]
    """Strongest first; only those above the run's zero or mean."""
    alike: tuple[int, ...] = ()
    """Images of the run that excite several of these neurons, those that excite most of them first."""

    @property
    def measured_in(self) -> str:
        """What strengths are, for a person."""
        return AXES[self.axis]


def read_statistics(
    connection: duckdb.DuckDBPyConnection, run: FoundRun, layer: Layer
) -> Statistics:
    """Mean, SD and largest activation of each neuron of a layer, and the layer's axis."""
    where = {"dataset": run.dataset, "run_id": run.run_id, "layer": layer.name}
    rows = connection.execute(
        """
        select unit, mean, sd, max from neuron_stats
        where dataset = $dataset and run_id = $run_id and layer = $layer
        """,
        where,
    ).fetchnumpy()
    mean, sd, highest = (np.zeros(layer.unit_count) for _ in range(3))
    for values, name in ((mean, "mean"), (sd, "sd"), (highest, "max")):
        values[rows["unit"]] = rows[name]
    axes = connection.execute(
        "select axis from layer_axes where dataset = $dataset and run_id = $run_id and layer = $layer",
        where,
    ).fetchall()
    return Statistics(mean, sd, highest, axes[0][0] if axes else "sd")


def find_excited(
    connection: duckdb.DuckDBPyConnection,
    run: FoundRun,
    layer: Layer,
    reading: Reading,
    statistics: Statistics,
    top: int,
) -> LayerFound:
    """The neurons of a layer that the first image of a reading excites most; ties by unit.

    Args:
        connection: Of ``pipeline.connect``.
        run: The run whose statistics they are measured by.
        layer: One of its image tower.
        reading: Of the image, and perhaps of others after it.
        statistics: Of `read_statistics`.
        top: How many neurons.
    """
    activations = reading.activations[layer.name][0].double().numpy()
    strength = statistics.strength(activations)
    order = np.argsort(-strength, kind="stable")[:top]
    units = [int(unit) for unit in order if strength[unit] > 0]
    labels = read_labels(connection, run, layer.name, units)
    examples = _read_examples(connection, run, layer.name, units)
    map_ = reading.maps.get(layer.name)
    neurons = tuple(
        Excited(
            layer,
            unit,
            float(activations[unit]),
            float(strength[unit]),
            statistics.axis,
            bool(activations[unit] > statistics.highest[unit]),
            *labels.get(unit, (_why_no_label(connection), "")),
            unit in labels,
            None if map_ is None else map_.of_unit(unit),
            tuple(examples.get(unit, ())),
        )
        for unit in units
    )
    return LayerFound(layer, statistics.axis, neurons, _find_alike(connection, run, neurons))


def read_labels(
    connection: duckdb.DuckDBPyConnection, run: FoundRun, layer: str, units: list[int]
) -> dict[int, tuple[str, str]]:
    """Of units with a label, what it is, and its support (``Excited.support``). None if a build has not made
    the labels: to compute them all for one image would take minutes."""
    if why_stale(connection) is not None:
        return {}
    rows = connection.execute(
        """
        select
            unit,
            concept || ' (' || category || ')',
            if(measured_count > 0, supported_count || ' of ' || measured_count, ''),
        from neuron_labels
        where
            dataset = $dataset and run_id = $run_id and layer = $layer and is_labelled
            and list_contains($units::integer[], unit)
        """,
        {"dataset": run.dataset, "run_id": run.run_id, "layer": layer, "units": units},
    ).fetchall()
    return {unit: (told, support or "") for unit, told, support in rows}


def _why_no_label(connection: duckdb.DuckDBPyConnection) -> str:
    return "unlabelled" if why_stale(connection) is None else "label not known: neurons build"


def _read_examples(
    connection: duckdb.DuckDBPyConnection, run: FoundRun, layer: str, units: list[int]
) -> dict[int, list[int]]:
    rows = connection.execute(
        """
        select unit, list(example_id order by example_rank) from top_examples
        where
            dataset = $dataset and run_id = $run_id and layer = $layer
            and polarity = 'positive' and example_rank <= $count
            and list_contains($units::integer[], unit)
        group by unit
        """,
        {
            "dataset": run.dataset,
            "run_id": run.run_id,
            "layer": layer,
            "units": units,
            "count": EXAMPLES,
        },
    ).fetchall()
    return dict(rows)


def _find_alike(
    connection: duckdb.DuckDBPyConnection, run: FoundRun, neurons: tuple[Excited, ...]
) -> tuple[int, ...]:
    """Images among the strongest of two or more of the neurons; by how many, then by the strength summed."""
    if len(neurons) < 2:
        return ()
    rows = connection.execute(
        """
        select example_id from top_examples
        where
            dataset = $dataset and run_id = $run_id and layer = $layer
            and polarity = 'positive' and example_rank <= $deep
            and list_contains($units::integer[], unit)
        group by example_id
        having count(*) >= 2
        order by count(*) desc, sum(activation_sd) desc, example_id
        limit $count
        """,
        {
            "dataset": run.dataset,
            "run_id": run.run_id,
            "layer": neurons[0].layer.name,
            "units": [one.unit for one in neurons],
            "deep": ALIKE_FROM,
            "count": EXAMPLES,
        },
    ).fetchall()
    return tuple(example_id for (example_id,) in rows)
