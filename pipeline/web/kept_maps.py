"""Maps of layers: computed at the first visit, which takes seconds, and kept on disk by what they are of."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import duckdb

    from pipeline.evidence.matrix import RunLayer

_RECIPE = b"t-SNE 1"
"""Changes when `pipeline.web.plane` places neurons in another way."""


class KeptMaps:
    """Where neurons lie, layer by layer."""

    def __init__(self, folder: Path) -> None:
        """Args:
        folder: Where they are kept: 16 bytes a neuron.
        """
        self._folder = folder
        self._lock = threading.Lock()

    def read(
        self, connection: duckdb.DuckDBPyConnection, layer: RunLayer
    ) -> tuple[np.ndarray[Any, np.dtype[np.int32]], np.ndarray[Any, np.dtype[np.float64]]]:
        """The neurons of a layer that have a place, and it.

        Args:
            connection: A cursor.
            layer: The layer.

        Returns:
            Units, int32 ``[U]``, ascending; places, float64 ``[U, 2]`` in 0..1.
        """
        from pipeline.web.plane import lay_out, mean_directions

        units, directions = mean_directions(connection, layer)
        digest = hashlib.sha256(_RECIPE + directions.tobytes()).hexdigest()
        path = self._folder / f"{digest}.npy"
        with self._lock:  # one at a time: each takes a whole core
            places = _load(path, len(units))
            if places is None:
                places = lay_out(directions)
                _keep(path, places)
        return units, places


def _load(path: Path, count: int) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    try:
        places = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        return None
    return places if places.shape == (count, 2) and places.dtype == np.float64 else None


def _keep(path: Path, places: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    """Write it; a full disk or a folder that cannot be written only costs time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            np.save(file, places)
        temporary.replace(path)
    except OSError:
        return
