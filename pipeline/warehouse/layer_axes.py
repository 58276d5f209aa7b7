"""What the activations of a layer are measured by, for a person: the view ``layer_axes`` in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

AXES = {
    "sd": "standard deviations from zero",
    "z": "standard deviations from its mean (z)",
}
"""Each axis of ``layer_axes`` in words."""


def read_axis(connection: duckdb.DuckDBPyConnection, layer: Mapping[str, Any]) -> str:
    """The axis of a layer, ``sd`` or ``z``; ``sd`` for one whose neurons are all constant.

    Args:
        connection: Of ``pipeline.connect``.
        layer: ``dataset``, ``run_id`` and ``layer``; anything else in it is passed over.
    """
    rows = connection.execute(
        """
        select axis from layer_axes
        where dataset = $dataset and run_id = $run_id and layer = $layer
        """,
        {name: layer[name] for name in ("dataset", "run_id", "layer")},
    ).fetchall()
    return str(rows[0][0]) if rows else "sd"


def say_strength(value: float | None, axis: str) -> str:
    """An activation on its axis, short: ``2.5 SD`` from zero, ``z 2.5`` from the mean."""
    if value is None:
        return ""
    return f"z {value:.1f}" if axis == "z" else f"{value:.1f} SD"
