"""Maps of layers: computed at the first visit, which takes seconds, and kept on disk by what they are of."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.web.plane import lay_out

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
        self, directions: np.ndarray[Any, np.dtype[np.float32]]
    ) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Places in the plane, float64 ``[U, 2]`` in 0..1, of `plane.lay_out`.

        Args:
            directions: ``[U, D]``, of `plane.mean_directions`.
        """
        digest = hashlib.sha256(_RECIPE + directions.tobytes()).hexdigest()
        path = self._folder / f"{digest}.npy"
        with self._lock:  # one at a time: each takes a whole core
            places = _load(path, len(directions))
            if places is None:
                places = lay_out(directions)
                _keep(path, places)
        return places


def _load(path: Path, count: int) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    try:
        places = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError):
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
