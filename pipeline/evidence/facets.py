"""The Halle Berry test: AUROC of a concept within each form and language, with surrogates.

For every neuron and candidate concept (view ``facet_candidates``), and every stratum that has images of
the concept (``example_strata``, ``stratum_concepts``): how well does the neuron tell the stratum's images
that show the concept from the stratum's other images? Beside it stand 99 surrogates, random sets of as
many images of the same stratum (Quiroga et al. 2005, doi:10.1038/nature03687). Everything is exact: sums of
integers, twice the mid-ranks, so that no order or block size changes a bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import torch

from pipeline.base.progress import ProgressCallback
from pipeline.evidence.cuts import cut, units_at_once
from pipeline.evidence.matrix import Block, RunLayer, example_ids, iter_blocks, list_whole_layers
from pipeline.evidence.strata import SURROGATES, Stratum, gather_strata, read_pairs, read_strata
from pipeline.tables.computed import DERIVED

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

TEST_BYTES = 128 << 20
"""Activations that are tested at once, in bytes; ranking a stratum of them takes about five times as much.
More are read at once, so that fewer row groups are decoded twice."""

GATHER_BYTES = 64 << 20
"""Ranks of surrogates that are looked up at once, in bytes."""

DRAW_BYTES = 512 << 20
"""Drawn surrogates of one run that are kept, in bytes; what is beyond is drawn again when needed."""


@dataclass
class _Draws:
    """Surrogates of one run's strata, kept as far as memory allows."""

    kept: dict[int, torch.Tensor] = field(default_factory=dict)

    def get(self, stratum_id: int, stratum: Stratum) -> torch.Tensor:
        """int32 ``[99, m]`` of :meth:`Stratum.draw`."""
        if stratum_id in self.kept:
            return self.kept[stratum_id]
        drawn = torch.from_numpy(stratum.draw())
        if sum(other.nbytes for other in self.kept.values()) + drawn.nbytes <= DRAW_BYTES:
            self.kept[stratum_id] = drawn
        return drawn


def rank_twice(values: torch.Tensor) -> torch.Tensor:
    """Twice the ascending mid-ranks within each row, ties averaged.

    Args:
        values: Float32 ``[U, n]``, finite.

    Returns:
        int32 ``[U, n]``, 2 .. 2n; each row sums to n (n + 1).
    """
    units, size = values.shape
    if not values.numel():
        return torch.zeros((units, size), dtype=torch.int32)
    ordered, order = torch.sort(values, dim=1)
    is_new = torch.ones((units, size), dtype=torch.bool)
    is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    starts = is_new.flatten().nonzero().squeeze(1)
    counts = torch.diff(starts, append=torch.tensor([units * size]))
    ranks = torch.repeat_interleave((2 * (starts % size) + counts + 1).int(), counts)
    return torch.empty((units, size), dtype=torch.int32).scatter_(
        1, order, ranks.reshape(units, size)
    )


def auroc_of(rank2_sum: np.ndarray[Any, Any], positives: Any, size: Any) -> Floats:
    """AUROC from sums of twice the mid-ranks: (R - p (p + 1) / 2) / (p (n - p)); float64.

    Args:
        rank2_sum: Sums over the positives, integers of any shape.
        positives: p, their number.
        size: n, images of the stratum.
    """
    below = (np.asarray(rank2_sum) - positives * (positives + 1)) / 2
    return np.asarray(below / (positives * (size - positives)), np.float64)


def surrogate_sums(ranks2: torch.Tensor, draws: torch.Tensor, positives: int) -> torch.Tensor:
    """Rank sums of the surrogates of a size, for every row.

    Args:
        ranks2: int32 ``[U, n]`` of :func:`rank_twice`.
        draws: int32 ``[S, at least positives]`` of :meth:`Stratum.draw`.
        positives: Images of a surrogate.

    Returns:
        int64 ``[U, S]``.
    """
    places = draws[:, :positives].reshape(-1)
    step = max(1, GATHER_BYTES // (4 * max(1, len(places))))
    parts = [
        some.index_select(1, places).reshape(len(some), -1, positives).sum(2, dtype=torch.int64)
        for some in torch.split(ranks2, step)
    ]
    return torch.cat(parts)


def compute_facet_aurocs(
    connection: duckdb.DuckDBPyConnection,
    progress: ProgressCallback,
    test_bytes: int = TEST_BYTES,
) -> Iterator[pa.Table]:
    """Rows of ``facet_aurocs``, a table for each block of units.

    Args:
        connection: Of ``pipeline.warehouse.connect.open_views``.
        progress: Hears of every layer.
        test_bytes: Size of a block of activations; changes no row.
    """
    run: tuple[str, str] | None = None
    with gather_strata(connection):
        for layer in list_whole_layers(connection):
            if run != (layer.dataset, layer.run_id):
                run = (layer.dataset, layer.run_id)
                tested = _read_tested(connection, layer)
            yield from _test_units(connection, layer, range(layer.unit_count), tested, test_bytes)
            progress.advance(0, f"facet_aurocs: {layer.dataset} {layer.layer}")


def compute_facets_of(
    connection: duckdb.DuckDBPyConnection, layer: RunLayer, units: range
) -> Iterator[pa.Table]:
    """Those rows of ``facet_aurocs`` that are of some units of a layer."""
    with gather_strata(connection):
        tested = _read_tested(connection, layer)
        yield from _test_units(connection, layer, units, tested, TEST_BYTES)


@dataclass(frozen=True)
class _Tested:
    """What the activations of a run are tested on."""

    ids: Ints
    """int64 ``[N]``: its distinct images, ascending."""
    strata: dict[int, Stratum]
    draws: _Draws
    min_count: int


def _read_tested(connection: duckdb.DuckDBPyConnection, layer: RunLayer) -> _Tested:
    """Of the run of a layer."""
    ((min_count,),) = connection.execute("select facet_min_count from settings").fetchall()
    ids = example_ids(connection, layer.dataset, layer.run_id)
    return _Tested(ids, read_strata(connection, layer, ids), _Draws(), int(min_count))


def _test_units(
    connection: duckdb.DuckDBPyConnection,
    layer: RunLayer,
    units: range,
    tested: _Tested,
    test_bytes: int,
) -> Iterator[pa.Table]:
    pairs = read_pairs(connection, layer)
    at = (pairs["unit"] >= units.start) & (pairs["unit"] < units.stop)
    if not at.any():
        return
    for block in _iter_blocks(connection, layer, units, tested.ids, test_bytes):
        end = block.first_unit + len(block.activations)
        at = (pairs["unit"] >= block.first_unit) & (pairs["unit"] < end)
        here = {name: column[at] for name, column in pairs.items()}
        yield _test_block(layer, block, here, tested.strata, tested.draws, tested.min_count)


def _iter_blocks(
    connection: duckdb.DuckDBPyConnection,
    layer: RunLayer,
    units: range,
    ids: Ints,
    test_bytes: int,
) -> Iterator[Block]:
    """Blocks of what is tested at once, cut from those that are read at once."""
    step = units_at_once(test_bytes // (4 * max(1, len(ids))), len(units))
    for read in iter_blocks(connection, layer, ids, units=units):
        for some in cut(range(len(read.activations)), step):
            yield Block(read.first_unit + some.start, read.activations[some.start : some.stop])


def _test_block(
    layer: RunLayer,
    block: Block,
    pairs: dict[str, np.ndarray[Any, Any]],
    strata: dict[int, Stratum],
    draws: _Draws,
    min_count: int,
) -> pa.Table:
    """Every pair of a block within every stratum that has an image of its concept."""
    activations = torch.from_numpy(block.activations)
    rows = torch.from_numpy(np.asarray(pairs["unit"] - block.first_unit, np.int64))
    concepts: Ints = np.asarray(pairs["concept_id"], np.int64)
    parts = [
        _test_stratum(activations, rows, concepts, (stratum_id, stratum), draws, min_count)
        for stratum_id, stratum in strata.items()
    ]
    schema = DERIVED["facet_aurocs"].arrow_schema()
    found = [part for part in parts if len(part.pair)]
    if not found:
        return schema.empty_table()
    pair = np.concatenate([part.pair for part in found])
    stratum_ids = np.concatenate([part.stratum_id for part in found])
    order = np.lexsort((stratum_ids, pair))
    figures = np.concatenate([part.figures for part in found])[order]
    counts = np.concatenate([part.counts for part in found])[order]
    surrogates = np.concatenate([part.surrogates for part in found])[order]
    pair, stratum_ids = pair[order], stratum_ids[order]
    of = [strata[int(i)] for i in stratum_ids]
    is_tested = ~np.isnan(figures[:, 0])
    columns = {
        "dataset": pa.repeat(layer.dataset, len(pair)),
        "run_id": pa.repeat(layer.run_id, len(pair)),
        "layer": pa.repeat(layer.layer, len(pair)),
        "unit": pa.array(pairs["unit"][pair], pa.int32()),
        "candidate_rank": pa.array(pairs["candidate_rank"][pair], pa.int32()),
        "concept": pa.array(pairs["concept"][pair], pa.string()),
        "category": pa.array(pairs["category"][pair], pa.string()),
        "origin": pa.array(pairs["origin"][pair], pa.string()),
        "dimension": pa.array([s.dimension for s in of], pa.string()),
        "stratum": pa.array([s.name for s in of], pa.string()),
        "facet_origin": pa.array([s.facet_origin for s in of], pa.string()),
        "positive_count": pa.array(counts[:, 0], pa.int64()),
        "other_count": pa.array(counts[:, 1], pa.int64()),
        "auroc": pa.array(figures[:, 0], pa.float64(), from_pandas=True),
        "surrogate_aurocs": _lists(surrogates, is_tested),
        "screening_positive_count": pa.array(counts[:, 2], pa.int64()),
        "screening_other_count": pa.array(counts[:, 3], pa.int64()),
        "screening_auroc": pa.array(figures[:, 1], pa.float64(), from_pandas=True),
    }
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _lists(values: np.ndarray[Any, Any], keep: np.ndarray[Any, Any]) -> pa.Array:
    """A list column of the rows of a matrix; null where ``keep`` is false."""
    lengths = np.where(keep, values.shape[1], 0)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    flat = pa.array(values[keep].ravel(), pa.float32())
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat, mask=pa.array(~keep))


@dataclass(frozen=True)
class _Part:
    """What was found within one stratum."""

    pair: Ints
    """Index of the pair, int64 ``[k]``."""
    stratum_id: Ints
    counts: Ints
    """int64 ``[k, 4]``: positives and others, of the testing and of the screening half."""
    figures: Floats
    """float64 ``[k, 2]``: AUROC of the testing and of the screening half; NaN: not tested."""
    surrogates: np.ndarray[Any, np.dtype[np.float32]]
    """float32 ``[k, 99]``: AUROCs; anything where not tested."""


def _test_stratum(
    activations: torch.Tensor,
    rows: torch.Tensor,
    concepts: Ints,
    stratum: tuple[int, Stratum],
    draws: _Draws,
    min_count: int,
) -> _Part:
    """Pairs (row of the block, concept) within one stratum.

    Args:
        activations: Float32 ``[U, N]``.
        rows: int64 ``[K]``.
        concepts: int64 ``[K]``.
        stratum: Its id and itself.
        draws: Surrogates that are known already.
        min_count: Fewest positives, and fewest others, of a test.
    """
    stratum_id, it = stratum
    halves = (it.testing, it.screening)
    sizes = np.array([[half.count(int(c)) for half in halves] for c in concepts]).reshape(-1, 2)
    pair = np.flatnonzero(sizes.any(axis=1))
    positives = sizes[pair]
    others = np.array([len(half.columns) for half in halves]) - positives
    figures = np.full((len(pair), 2), np.nan)
    surrogates = np.zeros((len(pair), SURROGATES), np.float32)
    for h, half in enumerate(halves):
        tested = np.flatnonzero((positives[:, h] >= min_count) & (others[:, h] >= min_count))
        if not len(tested):
            continue
        own = rows[torch.from_numpy(pair[tested])]
        units, place = torch.unique(own, return_inverse=True)
        size = len(half.columns)
        ranks2 = rank_twice(activations[units][:, torch.from_numpy(half.columns)])
        counts, ids = positives[tested, h], concepts[pair[tested]]
        for concept in np.unique(ids):
            at = np.flatnonzero(ids == concept)
            shown = torch.from_numpy(half.positives[int(concept)])
            sums = ranks2[place[torch.from_numpy(at)][:, None], shown].sum(1, dtype=torch.int64)
            figures[tested[at], h] = auroc_of(sums.numpy(), int(counts[at[0]]), size)
        if h:
            continue
        drawn = draws.get(stratum_id, it)
        for count in np.unique(counts):
            at = np.flatnonzero(counts == count)
            who, back = torch.unique(place[torch.from_numpy(at)], return_inverse=True)
            sums = surrogate_sums(ranks2[who], drawn, int(count))[back]
            surrogates[tested[at]] = auroc_of(sums.numpy(), int(count), size)
    return _Part(
        pair,
        np.full(len(pair), stratum_id),
        np.stack([positives[:, 0], others[:, 0], positives[:, 1], others[:, 1]], axis=1),
        figures,
        surrogates,
    )
