"""Stored activations as dense blocks, for linear algebra in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np

BLOCK_BYTES = 512 << 20
"""Size of a dense block of activations, in bytes; one unit of it at least."""


@dataclass(frozen=True)
class RunLayer:
    """One layer of one run."""

    dataset: str
    run_id: str
    model_id: str
    layer: str
    unit_count: int


@dataclass(frozen=True)
class Block:
    """Activations of some units for all distinct images of a run."""

    first_unit: int
    activations: np.ndarray[Any, np.dtype[np.float32]]
    """Float32 ``[U, N]``; what the run does not store (zero or below) is 0."""


def list_layers(
    connection: duckdb.DuckDBPyConnection, dataset: str | None = None, run_id: str | None = None
) -> list[RunLayer]:
    """The layers of all runs, or of one, in order of dataset, run and layer."""
    rows = connection.execute(
        """
        select dataset, run_id, model_id, layer, unit_count from stg_layers
        where coalesce(dataset = $dataset, true) and coalesce(run_id = $run_id, true)
        order by dataset, run_id, layer
        """,
        {"dataset": dataset, "run_id": run_id},
    ).fetchall()
    return [RunLayer(*row) for row in rows]


def example_ids(
    connection: duckdb.DuckDBPyConnection, dataset: str, run_id: str, half: str | None = None
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The distinct images of a run (of one half, if given), int64 ``[N]``, ascending."""
    found = connection.execute(
        """
        select stg_run_examples.example_id
        from stg_run_examples
        inner join stg_examples using (dataset, example_id)
        where
            dataset = $dataset and run_id = $run_id and not is_duplicate
            and coalesce(half = $half, true)
        order by example_id
        """,
        {"dataset": dataset, "run_id": run_id, "half": half},
    ).fetchnumpy()
    return np.asarray(found["example_id"], dtype=np.int64)


def iter_blocks(
    connection: duckdb.DuckDBPyConnection,
    layer: RunLayer,
    ids: np.ndarray[Any, np.dtype[np.int64]],
    max_bytes: int = BLOCK_BYTES,
) -> Iterator[Block]:
    """Dense activations of a layer, unit block by unit block.

    Args:
        connection: Of ``pipeline.warehouse.open_views``.
        layer: Which layer of which run.
        ids: int64 ``[N]``, ascending: the columns.
        max_bytes: Size of a block.
    """
    step = max(1, min(layer.unit_count, max_bytes // (4 * max(1, len(ids)))))
    for first in range(0, layer.unit_count, step):
        end = min(first + step, layer.unit_count)
        found = connection.execute(
            """
            select unit, example_id, activation from stg_activations
            where
                dataset = $dataset and run_id = $run_id and layer = $layer
                and unit >= $first and unit < $end
            """,
            {
                "dataset": layer.dataset,
                "run_id": layer.run_id,
                "layer": layer.layer,
                "first": first,
                "end": end,
            },
        ).fetchnumpy()
        dense = np.zeros((end - first, len(ids)), np.float32)
        if len(ids):
            columns = np.searchsorted(ids, found["example_id"])
            columns[columns == len(ids)] = 0
            keep = ids[columns] == found["example_id"]
            dense[found["unit"][keep] - first, columns[keep]] = found["activation"][keep]
        yield Block(first, dense)
