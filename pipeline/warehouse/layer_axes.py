"""What the activations of a layer are measured by, for a person: the view ``layer_axes`` in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from pipeline.warehouse.find import Neuron

AXES = {
    "sd": "standard deviations from zero",
    "z": "standard deviations from its mean (z)",
}
"""Each axis of ``layer_axes`` in words."""


def read_axis(connection: duckdb.DuckDBPyConnection, neuron: Neuron) -> str:
    """The axis of a neuron's layer, ``sd`` or ``z``; ``sd`` for one whose neurons are all constant."""
    rows = connection.execute(
        """
        select axis from layer_axes
        where dataset = $dataset and run_id = $run_id and layer = $layer
        """,
        {"dataset": neuron.dataset, "run_id": neuron.run_id, "layer": neuron.layer},
    ).fetchall()
    return str(rows[0][0]) if rows else "sd"


def say_strength(value: float | None, axis: str) -> str:
    """An activation on its axis, short: ``2.5 SD`` from zero, ``z 2.5`` from the mean."""
    if value is None:
        return ""
    return f"z {value:.1f}" if axis == "z" else f"{value:.1f} SD"
