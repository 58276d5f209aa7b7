"""Which neurons answer alike: correlations of activations, all pairs by blocked matrix products.

Pearson's correlation over the distinct images that two runs share. Activations that a run does not
store (zero or below, where it stores positive ones only) are 0, on both sides. A neuron that is
constant over these images correlates with nothing and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import torch

from pipeline.base.progress import ProgressCallback
from pipeline.evidence.matrix import RunLayer, iter_blocks, list_whole_layers, shared_ids
from pipeline.tables.computed import DERIVED

NEIGHBOURS = 10
"""Nearest neurons of each neuron that are kept, in each layer."""

SAMPLE = 25_000
"""Images that correlations rest on at most: with that many, the standard error is below 0.0064."""

BLOCK_BYTES = 256 << 20
"""Size of a dense block of activations; two of them are held, and as much again to standardise."""

BUDGET = 20e12
"""Products of two activations that a build computes at most, for a run or for two runs together: 120
pairs of layers of 2,560 units over 25,000 images, each of which takes 8 s of one core, beside the reading.
What it leaves out is told."""

ROWS_AT_ONCE = 1024
"""Rows of a block of correlations that are ranked at once."""

Ids = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Standard:
    """Activations of some neurons, standardised, so that a product of two rows is a correlation."""

    units: Ids
    """int64 ``[U]``: which; constant ones are not among them."""
    values: torch.Tensor
    """Float32 ``[U, N]``: each row has mean 0 and length 1."""


def standardise(first_unit: int, activations: np.ndarray[Any, np.dtype[np.float32]]) -> Standard:
    """Centre each row and give it length 1; rows without any change are left out.

    Args:
        first_unit: The unit of the first row.
        activations: Float32 ``[U, N]``.
    """
    values = torch.from_numpy(activations)
    if values.shape[1] == 0:
        return Standard(np.zeros(0, np.int64), values[:0])
    low, high = values.aminmax(dim=1)
    units = torch.nonzero(low < high).flatten()
    chosen = values if len(units) == len(values) else values[units]
    centred = chosen - chosen.mean(dim=1, keepdim=True)
    centred -= centred.mean(dim=1, keepdim=True, dtype=torch.float64).float()  # what rounding left
    lengths = torch.linalg.vector_norm(centred, dim=1, keepdim=True, dtype=torch.float64)
    return Standard(units.numpy() + first_unit, centred.div_(lengths.float()))


def correlate(
    connection: duckdb.DuckDBPyConnection,
    layer: RunLayer,
    ids: Ids,
    values: np.ndarray[Any, Any],
    max_bytes: int = BLOCK_BYTES,
) -> tuple[Ids, np.ndarray[Any, np.dtype[np.float64]]]:
    """Correlation of every neuron of a layer with one quantity, in one pass over the layer.

    Args:
        connection: Of ``pipeline.warehouse.connect.open_views``.
        layer: The layer.
        ids: int64 ``[N]``, ascending: the images.
        values: ``[N]``: the quantity.
        max_bytes: Size of a block.

    Returns:
        Units, int64 ``[U]``, ascending, without constant ones; and their correlations, float64
        ``[U]``. Both are empty if the quantity is constant.
    """
    one = standardise(0, np.ascontiguousarray(values, np.float32)[None])
    units, found = [np.zeros(0, np.int64)], [np.zeros(0)]
    for block in iter_blocks(connection, layer, ids, max_bytes) if len(one.units) else ():
        other = standardise(block.first_unit, block.activations)
        units.append(other.units)
        found.append((other.values @ one.values[0]).double().clamp(-1, 1).numpy())
    return np.concatenate(units), np.concatenate(found)


class _Nearest:
    """The best so far of each unit of one layer, among those of another."""

    def __init__(self, unit_count: int) -> None:
        self.units = torch.full((unit_count, NEIGHBOURS), -1, dtype=torch.int64)
        self.values = torch.full((unit_count, NEIGHBOURS), -torch.inf)

    def add(self, mine: Ids, others: Ids, correlations: torch.Tensor) -> None:
        """Take in a block ``[len(mine), len(others)]``; both ascending, ``others`` block by block."""
        rows, columns = torch.from_numpy(mine), torch.from_numpy(others)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE]
            block = correlations[start : start + ROWS_AT_ONCE]
            values = torch.cat([self.values[some], block], dim=1)
            units = torch.cat([self.units[some], columns.expand(len(some), -1)], dim=1)
            # Stable, and earlier blocks hold smaller units: ties are in order of the unit.
            order = values.sort(dim=1, descending=True, stable=True).indices[:, :NEIGHBOURS]
            self.values[some] = values.gather(1, order)
            self.units[some] = units.gather(1, order)

    def table(self, one: RunLayer, other: RunLayer, example_count: int) -> pa.Table:
        """Rows of ``neuron_neighbours``."""
        mine, ranks = torch.nonzero(self.values.isfinite(), as_tuple=True)
        size = len(mine)
        columns = [
            pa.array([one.dataset] * size, pa.string()),
            pa.array([one.run_id] * size, pa.string()),
            pa.array([one.layer] * size, pa.string()),
            mine.int().numpy(),
            pa.array([other.run_id] * size, pa.string()),
            pa.array([other.layer] * size, pa.string()),
            (ranks + 1).int().numpy(),
            self.units[mine, ranks].int().numpy(),
            self.values[mine, ranks].double().clamp(-1, 1).numpy(),
            np.full(size, example_count, np.int64),
        ]
        return pa.table(columns, schema=DERIVED["neuron_neighbours"].arrow_schema())


def _compare(
    connection: duckdb.DuckDBPyConnection,
    one: RunLayer,
    other: RunLayer,
    ids: Ids,
    max_bytes: int,
) -> Iterator[pa.Table]:
    """Nearest neurons both ways; a layer with itself: no neuron is its own neighbour."""
    is_same = one == other
    ahead = _Nearest(one.unit_count)
    back = ahead if is_same else _Nearest(other.unit_count)
    for block in iter_blocks(connection, one, ids, max_bytes):
        mine = standardise(block.first_unit, block.activations)
        for facing in iter_blocks(connection, other, ids, max_bytes):
            theirs = standardise(facing.first_unit, facing.activations)
            found = mine.values @ theirs.values.T
            if is_same and block.first_unit == facing.first_unit:
                found.fill_diagonal_(-torch.inf)
            ahead.add(mine.units, theirs.units, found)
            if not is_same:
                back.add(theirs.units, mine.units, found.T)
    yield ahead.table(one, other, len(ids))
    if not is_same:
        yield back.table(other, one, len(ids))


def compute_neuron_neighbours(
    connection: duckdb.DuckDBPyConnection,
    progress: ProgressCallback,
    budget: float = BUDGET,
    max_bytes: int = BLOCK_BYTES,
) -> Iterator[pa.Table]:
    """Rows of ``neuron_neighbours``: every pair of layers of each run.

    Layers with themselves come first; pairs of layers that would pass the budget are left out and
    named (the view ``warn_neighbours`` lists them too, and ``neurons like`` computes them when it is
    asked).

    Args:
        connection: Of a build.
        progress: Told which pairs were left out.
        budget: Products of two activations; see `BUDGET`.
        max_bytes: Size of a block; two of them are held.
    """
    pairs = [
        pair
        for pair in combinations_with_replacement(list_whole_layers(connection), 2)
        if (pair[0].dataset, pair[0].run_id) == (pair[1].dataset, pair[1].run_id)
    ]
    pairs.sort(key=lambda pair: pair[0] != pair[1])
    yield from _compare_all(connection, pairs, progress, budget, max_bytes)


def compute_neighbours_across(
    connection: duckdb.DuckDBPyConnection,
    progress: ProgressCallback,
    budget: float = BUDGET,
    max_bytes: int = BLOCK_BYTES,
) -> Iterator[pa.Table]:
    """Rows of ``neuron_neighbours`` of different runs on the same dataset; see `compute_neuron_neighbours`.

    Args:
        connection: Of a build.
        progress: Told which pairs were left out.
        budget: Products of two activations; see `BUDGET`.
        max_bytes: Size of a block; two of them are held.
    """
    pairs = [
        pair
        for pair in combinations(list_whole_layers(connection), 2)
        if pair[0].dataset == pair[1].dataset and pair[0].run_id != pair[1].run_id
    ]
    yield from _compare_all(connection, pairs, progress, budget, max_bytes)


def _compare_all(
    connection: duckdb.DuckDBPyConnection,
    pairs: list[tuple[RunLayer, RunLayer]],
    progress: ProgressCallback,
    budget: float,
    max_bytes: int,
) -> Iterator[pa.Table]:
    shared: dict[tuple[str, str, str], Ids] = {}
    left_out = []
    for one, other in pairs:
        runs = (one.dataset, one.run_id, other.run_id)
        if runs not in shared:
            _, shared[runs] = shared_ids(
                connection, (one.dataset, one.run_id), (other.dataset, other.run_id), SAMPLE
            )
        ids = shared[runs]
        cost = one.unit_count * other.unit_count * len(ids)
        if cost > budget:
            left_out.append(f"{one.run_id} {one.layer} with {other.run_id} {other.layer}")
            continue
        budget -= cost
        yield from _compare(connection, one, other, ids, max_bytes)
    if left_out:
        progress.advance(
            0, f"neuron_neighbours: left out, beyond the budget: {'; '.join(left_out)}"
        )
