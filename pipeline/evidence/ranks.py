"""Rank statistics of every neuron and concept: the view ``concept_ranks``, block by block with NumPy.

The view says what they are and answers without a build. Here every stored activation is sorted once, and one
sparse product of ranks and images that show concepts gives the sums of all pairs: measured, a twentieth of what
windows and a join over rows cost.

Mann & Whitney 1947, doi:10.1214/aoms/1177730491.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from pipeline.base.progress import ProgressCallback
from pipeline.evidence.cuts import cut, units_at_once
from pipeline.evidence.matrix import Places, RunLayer, iter_rows, list_whole_layers

ROWS = 4 << 20
"""Activations that are sorted at once: 100 bytes for each that is stored; one unit at least."""

READ_UNITS, READ_ROWS = 128, 64 << 20
"""Units that are read at once, as many as a row group of a file has; and activations of them at most."""

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("dataset", "model_id", "run_id", "layer")),
        ("unit", pa.int32()),
        *((name, pa.string()) for name in ("concept", "category", "origin")),
        *((name, pa.int64()) for name in ("positive_count", "other_count")),
        *((name, pa.float64()) for name in ("auroc", "z", "mean_difference")),
        ("screening_positive_count", pa.int64()),
        *((name, pa.float64()) for name in ("screening_auroc", "screening_z")),
    ]
)
"""Columns of the view."""

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

SCREENING, TESTING = 0, 1


@dataclass(frozen=True)
class Images:
    """The distinct images of a run, and the tested concepts that they show."""

    places: Places
    is_testing: np.ndarray[Any, np.dtype[np.int64]]
    """int64 ``[N]``: 1 for the testing half."""
    shown: csr_array
    """float64 ``[N, C]``: 1 where an image shows a concept."""
    concepts: dict[str, np.ndarray[Any, Any]]
    """Rows of ``tested_concepts``: ``[C]`` each, in the order of concept_id."""
    sizes: Floats
    """Images of the screening and of the testing half: ``[2]``."""
    counts: Floats
    """Images of each half that show each concept: ``[2, C]``."""


def read_images(connection: duckdb.DuckDBPyConnection, dataset: str, run_id: str) -> Images:
    """What a run's activations are compared with."""
    run = {"dataset": dataset, "run_id": run_id}

    def ask(sql: str) -> dict[str, np.ndarray[Any, Any]]:
        return {
            name: np.asarray(c) for name, c in connection.execute(sql, run).fetchnumpy().items()
        }

    images = ask(
        """
        select example_id, (half = 'testing')::bigint as is_testing
        from stg_run_examples
        inner join stg_examples using (dataset, example_id)
        where dataset = $dataset and run_id = $run_id and not is_duplicate
        order by example_id
        """
    )
    concepts = ask(
        """
        select concept_id, concept, category, origin, screening_count, testing_count
        from tested_concepts where dataset = $dataset and run_id = $run_id
        order by concept_id
        """
    )
    shown = ask(
        """
        select example_id, concept_id
        from run_concepts
        inner join tested_concepts using (dataset, run_id, concept, category, origin)
        where dataset = $dataset and run_id = $run_id
        """
    )
    ids = np.asarray(images["example_id"], np.int64)
    rows = np.searchsorted(ids, shown["example_id"])
    columns = np.searchsorted(concepts["concept_id"], shown["concept_id"])
    shape = (len(ids), len(concepts["concept_id"]))
    is_testing = np.asarray(images["is_testing"], np.int64)
    return Images(
        Places(ids),
        is_testing,
        csr_array((np.ones(len(rows)), (rows, columns)), shape=shape),
        concepts,
        np.bincount(is_testing, minlength=2).astype(float),
        np.stack([concepts["screening_count"], concepts["testing_count"]]).astype(float),
    )


@dataclass(frozen=True)
class Ranked:
    """Stored activations of a block of units, sorted within each unit and half.

    Row ``2 u + h`` is unit ``u`` of the block in half ``h``.
    """

    ranks: csr_array
    """float64 ``[2 U, N]``: twice the mid-rank among the half's images, less that of an absent one."""
    values: csr_array
    """float64 ``[2 U, N]``: activations."""
    absent: Floats
    """``[2 U]``: images of the half without a stored activation, tied at the bottom."""
    ties: Floats
    """``[2 U]``: sum of t^3 - t over groups of t equal activations, the absent ones too."""


def rank_block(
    units: np.ndarray[Any, Any],
    places: np.ndarray[Any, Any],
    activations: np.ndarray[Any, Any],
    count: int,
    images: Images,
) -> Ranked:
    """Sort a block's rows.

    Args:
        units: ``[R]``, from 0 in the block.
        places: ``[R]``: which image, as `Images` has them.
        activations: Float32 ``[R]``, finite.
        count: Units of the block.
        images: Of the run.
    """
    rows = 2 * units + images.is_testing[places]
    bits = (activations.astype(np.float32) + np.float32(0)).view(np.uint32)  # -0 is 0
    ordered = np.where(bits >> 31 != 0, ~bits, bits | np.uint32(1 << 31))
    keys = rows.astype(np.uint64) << np.uint64(32) | ordered
    order = np.argsort(keys)
    keys, rows = keys[order], rows[order]
    stored = np.bincount(rows, minlength=2 * count)
    begins = np.concatenate([[0], np.cumsum(stored)])
    is_new = np.ones(len(keys), bool)
    is_new[1:] = keys[1:] != keys[:-1]
    starts = np.flatnonzero(is_new)
    tied = np.diff(starts, append=len(keys))
    # 2 (absent + place from 0) + t + 1, less absent + 1
    absent = np.tile(images.sizes, count) - stored
    first = 2 * (starts - begins[rows[starts]]) + tied + absent[rows[starts]]
    shape = (2 * count, len(images.is_testing))
    where = (places[order], begins)
    t = tied.astype(float)
    return Ranked(
        csr_array((np.repeat(first, tied), *where), shape=shape),
        csr_array((activations[order].astype(float), *where), shape=shape),
        absent,
        np.bincount(rows[starts], t**3 - t, minlength=2 * count) + (absent**3 - absent),
    )


def compute_concept_ranks(
    connection: duckdb.DuckDBPyConnection, progress: ProgressCallback, rows_at_once: int = ROWS
) -> Iterator[pa.Table]:
    """Rows of ``concept_ranks``, in the order of its key, a table for each block of units.

    Args:
        connection: With every view below it.
        progress: Hears of every layer.
        rows_at_once: Stored activations of a block, about; changes no row.
    """
    run: tuple[str, str] | None = None
    for layer in list_whole_layers(connection):
        if run != (layer.dataset, layer.run_id):
            run = (layer.dataset, layer.run_id)
            images = read_images(connection, *run)
        yield from _rank_layer(connection, layer, range(layer.unit_count), images, rows_at_once)
        progress.advance(0, f"concept_ranks: {layer.run_id} {layer.layer}")


def compute_ranks_of(
    connection: duckdb.DuckDBPyConnection, layer: RunLayer, units: range
) -> Iterator[pa.Table]:
    """Those rows of ``concept_ranks`` that are of some units of a layer."""
    images = read_images(connection, layer.dataset, layer.run_id)
    yield from _rank_layer(connection, layer, units, images, ROWS)


def _rank_layer(
    connection: duckdb.DuckDBPyConnection,
    layer: RunLayer,
    units: range,
    images: Images,
    rows_at_once: int,
) -> Iterator[pa.Table]:
    size = max(1, len(images.is_testing))
    if not len(images.concepts["concept"]):
        return
    for read in cut(units, units_read_at_once(_count_rows(connection, layer))):
        rows = _read_sorted(connection, layer, read, images)
        for some in cut(read, max(1, rows_at_once // size)):
            yield _table(layer, some, _rank_units(rows, read.start, some, images), images)


def units_read_at_once(rows: int) -> int:
    """How many.

    Args:
        rows: Stored activations of a unit, on average.
    """
    return units_at_once(min(READ_UNITS, READ_ROWS // max(1, rows)))


def _count_rows(connection: duckdb.DuckDBPyConnection, layer: RunLayer) -> int:
    """Stored activations of a unit of a layer, on average; rounded up."""
    (count,) = connection.execute(
        """
        select count(*) from raw_activations
        where dataset = $dataset and run_id = $run_id and layer = $layer
        """,
        {"dataset": layer.dataset, "run_id": layer.run_id, "layer": layer.layer},
    ).fetchall()[0]
    return -(-int(count) // max(1, layer.unit_count))


Rows = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]
"""Units from 0 in what was read, uint8 ``[R]``, places, int32 ``[R]``, and activations, float32 ``[R]``."""


def _read_sorted(
    connection: duckdb.DuckDBPyConnection, layer: RunLayer, units: range, images: Images
) -> Rows:
    """Stored activations of the distinct images, in order of the unit."""
    none = (np.zeros(0, np.uint8), np.zeros(0, np.int32), np.zeros(0, np.float32))
    parts: list[Rows] = [none]
    for unit, example_id, activation in iter_rows(connection, layer, units):
        places = images.places.find(example_id)
        keep = places >= 0  # repeated images are not
        within = (unit[keep] - units.start).astype(np.uint8)
        parts.append((within, places[keep], activation[keep]))
    unit, places, activation = (np.concatenate(column) for column in zip(*parts, strict=True))
    del parts
    order = np.argsort(unit, kind="stable")  # of so small numbers: without comparing
    return unit[order], places[order], activation[order]


def _rank_units(rows: Rows, start: int, units: range, images: Images) -> Ranked:
    """Rank some of the units that were read from ``start`` on."""
    unit, places, activation = rows
    first, last = np.searchsorted(unit, [units.start - start, units.stop - start])
    within = unit[first:last].astype(np.int64) - (units.start - start)
    return rank_block(within, places[first:last], activation[first:last], len(units), images)


def _table(layer: RunLayer, units: range, ranked: Ranked, images: Images) -> pa.Table:
    """Every unit with every concept."""
    count, concepts = len(units), images.concepts
    shape = (count, 2, len(concepts["concept"]))
    sums = (ranked.ranks @ images.shown).toarray().reshape(shape)
    absent, ties = ranked.absent.reshape(count, 2, 1), ranked.ties.reshape(count, 2, 1)
    positives, totals = images.counts, images.sizes[:, None]
    rank_sums = sums / 2.0 + positives * (absent + 1) / 2.0
    others = totals - positives
    auroc = (rank_sums - positives * (positives + 1) / 2) / (positives * others)
    spread = positives * others / 12 * (totals + 1 - ties / (totals * (totals - 1)))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (rank_sums - positives * (totals + 1) / 2) / np.sqrt(spread)
    shown = (ranked.values @ images.shown).toarray().reshape(shape)[:, TESTING]
    whole = np.asarray(ranked.values.sum(axis=1)).reshape(count, 2)[:, TESTING, None]
    difference = shown / positives[TESTING] - (whole - shown) / others[TESTING]

    def every(values: Any) -> Any:
        return np.broadcast_to(values, (count, shape[2])).reshape(-1)

    def known(half: int) -> pa.Array:
        return pa.array(every(z[:, half]), mask=~(every(spread[:, half]) > 0))

    size = count * shape[2]
    names = [layer.dataset, layer.model_id, layer.run_id, layer.layer]
    columns = [
        *(pa.repeat(pa.scalar(name, pa.string()), size) for name in names),
        np.repeat(np.arange(units.start, units.stop, dtype=np.int32), shape[2]),
        *(
            pa.array(every(concepts[name]), pa.string())
            for name in ("concept", "category", "origin")
        ),
        every(positives[TESTING]).astype(np.int64),
        every(others[TESTING]).astype(np.int64),
        every(auroc[:, TESTING]),
        known(TESTING),
        every(difference),
        every(positives[SCREENING]).astype(np.int64),
        every(auroc[:, SCREENING]),
        known(SCREENING),
    ]
    return pa.table(columns, schema=SCHEMA)
