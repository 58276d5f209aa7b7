"""Stored activations as dense blocks, for linear algebra in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np

from pipeline.evidence.cuts import cut, units_at_once
from pipeline.tables.columns import EXAMPLE_ID_BITS

BLOCK_BYTES = 512 << 20
"""Size of a dense block of activations, in bytes; one unit of it at least."""

ROWS_AT_ONCE = 1 << 20
"""Stored activations that are fetched in one piece."""

EMBEDDINGS_AT_ONCE = 1 << 14
"""Image embeddings that are fetched in one piece."""


@dataclass(frozen=True)
class RunLayer:
    """One layer of one run."""

    dataset: str
    run_id: str
    model_id: str
    layer: str
    unit_count: int
    tower: str = "visual"
    """``visual`` or ``text``: a text tower reads the texts that tell what an image shows."""
    is_cut: bool = False
    """A share of each neuron's activations is stored, or none; else what is not stored is zero or below."""


class Places:
    """Where each image of a run stands, found by its id without a search.

    Args:
        ids: int64 ``[N]``, ascending.
    """

    def __init__(self, ids: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        ordinals, positions = ids >> EXAMPLE_ID_BITS, ids & ((1 << EXAMPLE_ID_BITS) - 1)
        self.count = len(ids)
        self._lengths = np.zeros(int(ordinals.max(initial=-1)) + 2, np.int64)
        np.maximum.at(self._lengths, ordinals, positions + 1)
        self._starts = np.concatenate([[0], np.cumsum(self._lengths)[:-1]])
        self._places = np.full(int(self._lengths.sum()) + 1, -1, np.int32)
        self._places[self._starts[ordinals] + positions] = np.arange(len(ids))

    def find(self, ids: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.int32]]:
        """int32 ``[M]``: the place of each, or -1."""
        shards = np.minimum(ids >> EXAMPLE_ID_BITS, len(self._lengths) - 1)
        positions = ids & ((1 << EXAMPLE_ID_BITS) - 1)
        at = np.where(positions < self._lengths[shards], self._starts[shards] + positions, -1)
        return self._places[at]


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
        select dataset, run_id, model_id, layer, unit_count, tower, is_cut from stg_layers
        where coalesce(dataset = $dataset, true) and coalesce(run_id = $run_id, true)
        order by dataset, run_id, layer
        """,
        {"dataset": dataset, "run_id": run_id},
    ).fetchall()
    return [RunLayer(*row) for row in rows]


def list_whole_layers(
    connection: duckdb.DuckDBPyConnection, dataset: str | None = None, run_id: str | None = None
) -> list[RunLayer]:
    """Those of `list_layers` whose activations can be computed with: what is absent counts as 0."""
    return [layer for layer in list_layers(connection, dataset, run_id) if not layer.is_cut]


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
    units: range | None = None,
) -> Iterator[Block]:
    """Dense activations of a layer, unit block by unit block.

    Args:
        connection: Of ``pipeline.warehouse.connect.open_views``.
        layer: Which layer of which run.
        ids: int64 ``[N]``, ascending: the columns.
        max_bytes: Size of a block; changes no value.
        units: Only these; all of the layer if None.
    """
    units = range(layer.unit_count) if units is None else units
    step = units_at_once(max_bytes // (4 * max(1, len(ids))), len(units))
    places = Places(ids)
    for some in cut(units, step):
        yield Block(some.start, _read(connection, layer, places, some))


def read_units(
    connection: duckdb.DuckDBPyConnection,
    layer: RunLayer,
    ids: np.ndarray[Any, np.dtype[np.int64]],
    units: Sequence[int],
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Dense activations of a few units, float32 ``[U, N]`` in the order given; see `iter_blocks`."""
    places = Places(ids)
    parts = [_read(connection, layer, places, range(unit, unit + 1)) for unit in units]
    return np.concatenate([np.zeros((0, len(ids)), np.float32), *parts])


def _read(
    connection: duckdb.DuckDBPyConnection,
    layer: RunLayer,
    places: Places,
    units: range,
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Consecutive units, dense."""
    dense = np.zeros((len(units), places.count), np.float32)
    for unit, example_id, activation in iter_rows(connection, layer, units) if places.count else ():
        columns = places.find(example_id)
        keep = columns >= 0
        dense[unit[keep] - units.start, columns[keep]] = activation[keep]
    return dense


def iter_rows(
    connection: duckdb.DuckDBPyConnection, layer: RunLayer, units: range
) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Stored activations of consecutive units, in any order; what is held at once does not grow with them.

    Yields:
        Units, int32 ``[R]``, examples, int64 ``[R]``, and activations, float32 ``[R]``, finite.
    """
    rows = connection.sql(
        """
        select unit, example_id, activation from stg_activations
        where
            dataset = $dataset and run_id = $run_id and layer = $layer
            and unit >= $first and unit < $end
        """,
        params={
            "dataset": layer.dataset,
            "run_id": layer.run_id,
            "layer": layer.layer,
            "first": units.start,
            "end": units.stop,
        },
    )
    for batch in rows.to_arrow_reader(ROWS_AT_ONCE):
        unit, example_id, activation = (column.to_numpy(False) for column in batch.columns)
        yield unit, example_id, activation


def sample_ids(
    connection: duckdb.DuckDBPyConnection, dataset: str, run_id: str, most: int
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The distinct images of a run, int64 ``[N]``, ascending; of more than ``most``, those that come
    first by the hash of their image: as good as drawn at random, and always the same.
    """
    found = connection.execute(
        """
        select example_id from (
            select stg_run_examples.example_id
            from stg_run_examples
            inner join stg_examples using (dataset, example_id)
            where dataset = $dataset and run_id = $run_id and not is_duplicate
            order by image_sha256, example_id
            limit $most
        ) order by example_id
        """,
        {"dataset": dataset, "run_id": run_id, "most": most},
    ).fetchnumpy()
    return np.asarray(found["example_id"], dtype=np.int64)


def shared_ids(
    connection: duckdb.DuckDBPyConnection,
    one: tuple[str, str],
    other: tuple[str, str],
    most: int,
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int64]]]:
    """Images that two runs have in common, found by their hash, each once.

    Args:
        connection: Of ``pipeline.warehouse.connect.open_views``.
        one: Dataset and run.
        other: Dataset and run.
        most: How many at most; see `sample_ids`.

    Returns:
        int64 ``[N]`` twice: ids in the one, and in the other dataset, which are ascending.
    """
    found = connection.execute(
        """
        with distinct_images as (
            select dataset, run_id, example_id, image_sha256
            from stg_run_examples
            inner join stg_examples using (dataset, example_id)
            where not is_duplicate
        )
        select one_id, other_id from (
            select one.example_id as one_id, other.example_id as other_id,
            from distinct_images as one
            inner join distinct_images as other using (image_sha256)
            where
                one.dataset = $one_dataset and one.run_id = $one_run
                and other.dataset = $other_dataset and other.run_id = $other_run
            order by image_sha256
            limit $most
        ) order by other_id
        """,
        {
            "one_dataset": one[0],
            "one_run": one[1],
            "other_dataset": other[0],
            "other_run": other[1],
            "most": most,
        },
    ).fetchnumpy()
    return (
        np.asarray(found["one_id"], dtype=np.int64),
        np.asarray(found["other_id"], dtype=np.int64),
    )


def read_embeddings(
    connection: duckdb.DuckDBPyConnection,
    dataset: str,
    run_id: str,
    ids: np.ndarray[Any, np.dtype[np.int64]],
) -> Iterator[tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.float32]]]]:
    """Image embeddings of a run, in pieces.

    Args:
        connection: Of ``pipeline.warehouse.connect.open_views``.
        dataset: Its dataset.
        run_id: The run.
        ids: int64 ``[N]``, ascending: which examples.

    Yields:
        Places in ``ids``, int64 ``[B]``, and embeddings, float32 ``[B, D]``, L2 norm 1
        (one without length, of a model that says nothing, stays zero).
    """
    if not len(ids):
        return
    rows = connection.sql(
        """
        select example_id, embedding from raw_embeddings
        where dataset = $dataset and run_id = $run_id
        """,
        params={"dataset": dataset, "run_id": run_id},
    )
    for batch in rows.to_arrow_reader(EMBEDDINGS_AT_ONCE):
        example_id = batch.column(0).to_numpy(False)
        places = np.searchsorted(ids, example_id)
        places[places == len(ids)] = 0
        keep = ids[places] == example_id
        if not keep.any():
            continue
        values = batch.column(1).flatten().to_numpy(False).reshape(len(batch), -1)
        values = values[keep].astype(np.float32)
        length = np.linalg.norm(values, axis=1, keepdims=True)
        yield places[keep], values / np.where(length > 0, length, 1)


def load_embeddings(
    connection: duckdb.DuckDBPyConnection,
    dataset: str,
    run_id: str,
    ids: np.ndarray[Any, np.dtype[np.int64]],
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Float32 ``[N, D]``: all that `read_embeddings` yields, in the order of ``ids``."""
    found = np.zeros((len(ids), 0), np.float32)
    for places, values in read_embeddings(connection, dataset, run_id, ids):
        if not found.shape[1]:
            found = np.zeros((len(ids), values.shape[1]), np.float32)
        found[places] = values
    return found
