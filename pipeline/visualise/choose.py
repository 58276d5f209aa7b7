"""Which neurons and directions of a layer draw, and how large their activations are in the run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import duckdb
import torch

from pipeline.base.errors import ConfigError, WarehouseError
from pipeline.base.visualise_settings import VisualiseChoice
from pipeline.visualise.optimise import Subject
from pipeline.warehouse.find import FoundLayer


@dataclass(frozen=True)
class Chosen:
    """What draws of a layer."""

    subjects: tuple[Subject, ...]
    """Neurons by unit, then directions."""
    dead: tuple[int, ...]
    """Units that were meant and whose activation is the same for every image: they do not draw."""


def choose_subjects(
    connection: duckdb.DuckDBPyConnection, layer: FoundLayer, choice: VisualiseChoice
) -> Chosen:
    """The neurons and directions of a layer that are meant.

    Args:
        connection: Of ``pipeline.connect``.
        layer: Which.
        choice: Which of it.

    Raises:
        ConfigError: Nothing is meant, or a direction cannot be read.
        WarehouseError: The layer has no such unit, no labelled one is there, or no image was extracted.
    """
    if not (choice.units or choice.labelled or choice.directions):
        raise ConfigError(
            "It is not said which neurons draw.",
            "Name some: --unit 29 --unit 192; all that have a label: --labelled; or a direction: "
            "--direction 29:1,192:-0.5.",
        )
    units = _meant_units(connection, layer, choice)
    spreads = dict(
        connection.execute(
            """
            select unit, sd from neuron_stats
            where dataset = $dataset and run_id = $run_id and layer = $layer
            """,
            {"dataset": layer.dataset, "run_id": layer.run_id, "layer": layer.layer},
        ).fetchall()
    )
    if not spreads:
        raise WarehouseError(
            f"Run {layer.run_id!r} of {layer.dataset!r} has no statistics of {layer.layer!r}.",
            "No shard is extracted: run neurons extract first.",
        )
    directions = [
        _make(name, None, _read_direction(name, layer), spreads) for name in choice.directions
    ]
    neurons = []
    for unit in units:
        if spreads.get(unit):
            weight = torch.zeros(layer.unit_count)
            weight[unit] = 1
            neurons.append(_make(str(unit), unit, weight, spreads))
    dead = tuple(unit for unit in units if not spreads.get(unit))
    return Chosen((*neurons, *directions), dead)


def _meant_units(
    connection: duckdb.DuckDBPyConnection, layer: FoundLayer, choice: VisualiseChoice
) -> list[int]:
    if wrong := [unit for unit in choice.units if not 0 <= unit < layer.unit_count]:
        raise WarehouseError(
            f"Layer {layer.layer!r} has no unit {wrong[0]}.",
            f"Its units are 0 to {layer.unit_count - 1}.",
        )
    units = set(choice.units)
    if choice.labelled:
        rows = connection.execute(
            """
            select unit from neuron_labels
            where
                dataset = $dataset and run_id = $run_id and layer = $layer and is_labelled
            """,
            {"dataset": layer.dataset, "run_id": layer.run_id, "layer": layer.layer},
        ).fetchall()
        if not rows:
            raise WarehouseError(
                f"No neuron of {layer.layer!r}, run {layer.run_id!r} of {layer.dataset!r}, has a label.",
                "See the view run_coverage; or name neurons with --unit.",
            )
        units |= {unit for (unit,) in rows}
    return sorted(units)


def _make(
    name: str, unit: int | None, weight: torch.Tensor, spreads: dict[int, float | None]
) -> Subject:
    """What is climbed is in SD, to a power of two: so a run that grows does not change the last digits."""
    sds = torch.tensor([spreads.get(n) or 0.0 for n in range(len(weight))])
    spread = float((weight * sds).square().sum().sqrt())
    scale = 2.0 ** round(math.log2(spread)) if spread > 0 else 1.0
    return Subject(name, unit, weight, scale)


def _read_direction(text: str, layer: FoundLayer) -> torch.Tensor:
    """Float32 ``[unit_count]``."""
    expected = f"Write units with weights, 29:1,192:-0.5, or name a text file with {layer.unit_count} numbers."
    if Path(text).is_file():
        try:
            numbers = [
                float(one) for one in Path(text).read_text("utf-8").replace(",", " ").split()
            ]
        except ValueError as error:
            raise ConfigError(
                f"The direction in {text!r} is no list of numbers: {error}.", expected
            ) from error
        weight = torch.tensor(numbers)
        if len(numbers) != layer.unit_count:
            raise ConfigError(
                f"The direction in {text!r} has {len(numbers)} numbers, {layer.layer!r} has "
                f"{layer.unit_count} units.",
                expected,
            )
    else:
        weight = torch.zeros(layer.unit_count)
        try:
            for part in text.split(","):
                unit, _, value = part.partition(":")
                if not 0 <= int(unit) < layer.unit_count:
                    raise ConfigError(
                        f"The direction {text!r} names unit {unit}; {layer.layer!r} has units 0 to "
                        f"{layer.unit_count - 1}.",
                        expected,
                    )
                weight[int(unit)] += float(value or 1)
        except ValueError as error:
            raise ConfigError(f"The direction {text!r} cannot be read.", expected) from error
    if not bool(weight.isfinite().all()) or not bool(weight.any()):
        raise ConfigError(f"The direction {text!r} is zero or not finite.", expected)
    return weight
