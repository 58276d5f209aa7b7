"""What do the neurons of a CLIP model see? Shards in, labelled neurons out.

import pipeline
con = pipeline.connect("warehouse")             # DuckDB with every view
con.sql("from neuron_labels where is_labelled")
model, preprocess, tokenizer = pipeline.load_clip("RN50x4:openai")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb
    import numpy as np
    from PIL import Image

    from pipeline.base.settings import LabelSettings

__version__ = "0.1.0"
__all__ = ["__version__", "connect", "load_clip", "map_activations"]


def connect(
    warehouse: str | Path, settings: LabelSettings | None = None, unrestricted: bool = False
) -> duckdb.DuckDBPyConnection:
    """Open a warehouse: a DuckDB connection with all views, safe beside an extraction.

    Views and columns say what they mean: ``from duckdb_columns() select column_name, comment``.
    It reads the warehouse and no other file, and writes none there; tables, views and macros of its
    own, in memory, are free.

    Args:
        warehouse: Folder or URL.
        settings: Parameters of the labelling views; those of the last build if None.
        unrestricted: Everything that DuckDB can do: read and write any file, attach, set options.

    A dataset or a run that cannot be read is left out, with a warning that says what to do; so is said which
    runs keep no activations, or a share.

    Raises:
        WarehouseError: There is no dataset, or none that can be read.
    """
    from pipeline.warehouse.connect import connect
    from pipeline.warehouse.not_kept import MADE_FROM_ALL, tell_not_kept
    from pipeline.warehouse.stale import tell_stale
    from pipeline.warehouse.views import MATERIALISED

    connection = connect(warehouse, settings, unrestricted=unrestricted)
    tell_stale(connection, MATERIALISED)
    tell_not_kept(connection, MADE_FROM_ALL)
    return connection


def load_clip(model: str, device: str = "cpu") -> tuple[Any, Any, Any]:
    """Load any model that the command line takes.

    Args:
        model: ``nano``, ``ARCH:TAG``, ``ARCH:TAG@/path/to/file``, ``ARCH:/path/to/file``,
            ``hf-hub:ORG/NAME``, ``local-dir:/path``, ``ARCH:random`` or ``nano:random``.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``auto``.

    Returns:
        ``(model, preprocess, tokenizer)``: the module in evaluation mode; PIL image -> float32
        ``[3, H, W]``; texts -> int64 ``[N, context_length]``.

    Raises:
        ModelError: Unknown architecture or tag, failed download, weights that do not fit, or nothing
            says what they were trained with.
        MissingDependencyError: The model needs ``transformers`` (extra ``hf``).
        DeviceError: The device is not there.
    """
    from pipeline.clip.model import load_clip

    clip = load_clip(model, device)
    return clip.model, clip.preprocess, clip.tokenizer


def map_activations(
    model: str, layer: str, image: Image.Image, device: str = "cpu"
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What every neuron of a layer answers at every place of one image, before pooling.

    Args:
        model: As of `load_clip`.
        layer: ``PATH[:POINT]`` or a preset that names one layer, as ``goh2021``.
        image: A Pillow image; it is resized and cropped as the model wants it.
        device: As of `load_clip`.

    Returns:
        Float32 ``[rows, columns, units]``; ``[tokens, units]`` where tokens are no grid. Tokens before the
        patches are left out.

    Raises:
        HookError: There is no such layer, or it has one activation an image.
        ModelError: As of `load_clip`.
    """
    from pipeline.maps.where import map_image

    return map_image(model, layer, image, device)
