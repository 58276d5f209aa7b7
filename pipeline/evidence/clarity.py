"""How alike a neuron's top examples are: clarity, groups among them, and images that contrast.

All from the model's own image embeddings, and so in its own eyes: a late layer, from which the
embedding is made, looks clearer than an early one. Looked at are the strongest ``label_top_k``
examples of each neuron whose activation is not zero, distinct images all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import torch
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist

from pipeline.base.progress import ProgressCallback
from pipeline.evidence.matrix import (
    BLOCK_BYTES,
    RunLayer,
    iter_blocks,
    list_layers,
    list_whole_layers,
    load_embeddings,
    read_embeddings,
    sample_ids,
)
from pipeline.extract.ranking import order_keys
from pipeline.tables.computed import DERIVED

MAX_GROUPS = 5
MIN_GROUP_SIZE = 3
MIN_SILHOUETTE = 0.25
"""Below it a split is "no substantial structure" (Kaufman & Rousseeuw 1990, table 4, chapter 2)."""

WIDEST_EMBEDDING = 1024
"""Numbers in an embedding of the widest CLIP models; only sizes what is read at once."""

BASELINE_IMAGES = 10_000
BASELINE_SETS = 200
CONTRASTS = 10
OUT = -2.0
"""Below every cosine: an image that is no contrast."""
ROWS_AT_ONCE = 16
"""Rows of cosines that are ranked at once."""
CONTRAST_IMAGES = 100_000
"""Contrasting examples are looked for among this many images of a run; all, if it has fewer."""

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ids = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class TopExamples:
    """What excites one neuron most."""

    unit: int
    ids: Ids
    """int64 ``[K]``, strongest first."""
    embeddings: np.ndarray[Any, np.dtype[np.float32]]
    """Float32 ``[K, D]``, L2 norm 1."""


def mean_cosine(embeddings: np.ndarray[Any, Any]) -> float:
    """Mean cosine of two different rows, from the length of their sum.

    Args:
        embeddings: ``[K, D]``, L2 norm 1, two rows or more.
    """
    count = len(embeddings)
    total = embeddings.sum(axis=0, dtype=np.float64)
    return float((total @ total - count) / (count * (count - 1)))


def split_examples(
    embeddings: np.ndarray[Any, Any],
) -> tuple[np.ndarray[Any, np.dtype[np.int32]], Floats]:
    """Part examples into one to five groups that look alike to the model.

    Ward's tree (Ward 1963) over the embeddings on the unit sphere is cut into two to five groups of
    three examples or more; the cut with the largest mean silhouette of cosine distances is the best
    split. It is taken if that mean is above 0.25; otherwise there is one group. Five can mean more.

    Args:
        embeddings: ``[K, D]``, L2 norm 1, strongest example first.

    Returns:
        Groups, int32 ``[K]``, numbered from 1 by size, then by strongest example; and the
        silhouettes of the best split, taken or not, float64 ``[K]``, NaN if none is possible.
    """
    count = len(embeddings)
    points = embeddings.astype(np.float64)
    one, none = np.ones(count, np.int32), np.full(count, np.nan)
    if count < 2 * MIN_GROUP_SIZE:
        return one, none
    tree = linkage(pdist(points), "ward")
    distances = np.clip(1 - points @ points.T, 0, None)
    np.fill_diagonal(distances, 0)
    best, best_groups = none, one
    for number in range(2, MAX_GROUPS + 1):
        groups = cut_tree(tree, number)
        sizes = np.bincount(groups)[1:]
        if len(sizes) < 2 or sizes.min() < MIN_GROUP_SIZE:
            continue
        found = silhouettes(distances, groups)
        if np.isnan(best[0]) or found.mean() > best.mean():
            best, best_groups = found, groups
    if not best.mean() > MIN_SILHOUETTE:
        return one, best
    _, first, places, sizes = np.unique(
        best_groups, return_index=True, return_inverse=True, return_counts=True
    )
    ranks = np.empty(len(first), np.int32)
    ranks[np.lexsort((first, -sizes))] = np.arange(1, len(first) + 1)
    return ranks[places], best


def cut_tree(tree: Floats, most: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """The groups of a tree that is cut where it leaves so many, or fewer where branches are of one height.

    As SciPy's ``fcluster`` with ``maxclust``, which takes most of its time to look whether the tree is one.

    Args:
        tree: ``[K - 1, 4]``, as ``scipy.cluster.hierarchy.linkage`` makes it, with heights that never fall.
        most: Groups at most, 1..K.

    Returns:
        Int32 ``[K]``: groups, numbered from 1 in the order in which the tree has them.
    """
    count = len(tree) + 1
    joined = int(np.searchsorted(tree[:, 2], tree[count - most - 1, 2], "right"))
    children = tree[:joined, :2].astype(np.int64).tolist()
    group, number = [0] * (count + joined), 0
    for node in range(count + joined - 1, -1, -1):
        if not group[node]:
            number += 1
            group[node] = number
        if node >= count:
            left, right = children[node - count]
            group[left] = group[right] = group[node]
    return np.array(group[:count], np.int32)


def silhouettes(distances: Floats, groups: np.ndarray[Any, np.dtype[np.int32]]) -> Floats:
    """How well each example lies in its group (Rousseeuw 1987): -1..1; 0 where all distances are 0.

    Args:
        distances: ``[K, K]``, the diagonal 0.
        groups: ``[K]``, numbered from 1, of two examples or more each.
    """
    member = groups[:, None] == np.arange(1, groups.max() + 1)
    sizes, sums = member.sum(axis=0), distances @ member
    inside = sums[member] / (sizes[groups - 1] - 1)
    outside = np.where(member, np.inf, sums / sizes).min(axis=1)
    largest = np.maximum(inside, outside)
    found: Floats = (outside - inside) / np.where(largest > 0, largest, 1)
    return found


def list_top_examples(
    connection: duckdb.DuckDBPyConnection, layer: RunLayer
) -> tuple[np.ndarray[Any, np.dtype[np.int32]], Ids]:
    """The strongest examples of each neuron: units, int32 ``[R]``, ascending, and ids, int64 ``[R]``."""
    where = {"dataset": layer.dataset, "run_id": layer.run_id, "layer": layer.layer}
    found = connection.execute(
        """
        select top_examples.unit, top_examples.example_id
        from top_examples
        cross join settings
        where
            dataset = $dataset and run_id = $run_id and layer = $layer
            and polarity = 'positive' and activation <> 0 and example_rank <= label_top_k
        order by top_examples.unit, top_examples.example_rank
        """,
        where,
    ).fetchnumpy()
    return np.asarray(found["unit"], np.int32), np.asarray(found["example_id"], np.int64)


def iter_top_examples(
    connection: duckdb.DuckDBPyConnection,
    layer: RunLayer,
    max_bytes: int = BLOCK_BYTES,
    wanted: np.ndarray[Any, np.dtype[np.bool_]] | None = None,
) -> Iterator[TopExamples]:
    """The strongest examples of each neuron of a layer, with embeddings, in order of the unit.

    Args:
        connection: With the view ``top_examples``.
        layer: The layer.
        max_bytes: What embeddings may take at once.
        wanted: ``[U]``: which neurons; all if None.
    """
    all_units, all_ids = list_top_examples(connection, layer)
    if wanted is not None:
        all_units, all_ids = all_units[wanted[all_units]], all_ids[wanted[all_units]]
    most = int(np.bincount(all_units).max(initial=1))
    at_once = max(1, max_bytes // (4 * most * WIDEST_EMBEDDING))
    for first in range(0, layer.unit_count, at_once):
        some = (all_units >= first) & (all_units < first + at_once)
        units, ids = all_units[some], all_ids[some]
        if not len(ids):
            continue
        distinct, places = np.unique(ids, return_inverse=True)
        embeddings = load_embeddings(connection, layer.dataset, layer.run_id, distinct)
        edges = np.flatnonzero(np.diff(units)) + 1
        for start, end in zip([0, *edges], [*edges, len(units)], strict=True):
            chosen = slice(int(start), int(end))
            yield TopExamples(int(units[start]), ids[chosen], embeddings[places[chosen]])


def compute_top_example_groups(
    connection: duckdb.DuckDBPyConnection, progress: ProgressCallback, earlier: str = ""
) -> Iterator[pa.Table]:
    """Rows of ``top_example_groups``: see `split_examples`.

    Args:
        connection: With every view below it.
        progress: Of the build.
        earlier: SQL of rows that were computed before some examples were added, if there are any. Those of a
            neuron whose top examples are still the same are kept.
    """
    for layer in list_layers(connection):
        wanted, kept = None, []
        if earlier:
            before = _read_groups(connection, layer, earlier)
            was = before["unit"].to_numpy(), before["example_id"].to_numpy()
            wanted = _differ(list_top_examples(connection, layer), was, layer.unit_count)
            kept = [before.filter(pa.array(~wanted[was[0]]))]
        units, ids, groups, scores = [], [], [], []
        for top in iter_top_examples(connection, layer, wanted=wanted):
            group, silhouette = split_examples(top.embeddings)
            units.append(np.full(len(top.ids), top.unit, np.int32))
            ids.append(top.ids)
            groups.append(group)
            scores.append(silhouette)
        if units:
            silhouette = np.concatenate(scores)
            columns = np.concatenate(units), np.concatenate(ids), np.concatenate(groups)
            known = pa.array(silhouette, mask=np.isnan(silhouette))
            kept.append(_table("top_example_groups", layer, *columns, known))
        if kept:
            rows = pa.concat_tables(kept)
            yield rows.take(np.argsort(rows["unit"].to_numpy(), kind="stable"))


def _read_groups(connection: duckdb.DuckDBPyConnection, layer: RunLayer, earlier: str) -> pa.Table:
    """Rows of one layer of a ``top_example_groups`` that was written before."""
    where = {"dataset": layer.dataset, "run_id": layer.run_id, "layer": layer.layer}
    query = f"from ({earlier}) where dataset = $dataset and run_id = $run_id and layer = $layer"
    found = connection.sql(query, params=where).to_arrow_table()
    return found.cast(DERIVED["top_example_groups"].arrow_schema())


def _differ(
    one: tuple[np.ndarray[Any, Any], Ids], other: tuple[np.ndarray[Any, Any], Ids], count: int
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Of which of ``count`` neurons two lists of (unit, example) are of different examples: ``[U]``."""
    sizes = [np.bincount(units, minlength=count) for units, _ in (one, other)]
    different: np.ndarray[Any, np.dtype[np.bool_]] = sizes[0] != sizes[1]
    ordered = []
    for units, ids in (one, other):
        same = ~different[units]
        units, ids = units[same], ids[same]
        order = np.lexsort((ids, units))
        ordered.append((units[order], ids[order]))
    (units, ids), (_, others) = ordered
    different[units[ids != others]] = True
    return different


def compute_neuron_clarity(
    connection: duckdb.DuckDBPyConnection, progress: ProgressCallback
) -> Iterator[pa.Table]:
    """Rows of ``neuron_clarity``, beside what random images of the run come to.

    The baseline is the mean cosine of any two images of the run (of 10,000 at most). ``clarity_sd``
    is the distance from it in standard deviations of the same number for 200 random sets (seeded) of
    as many images as the neuron has top examples.
    """
    baselines: dict[tuple[str, str], _Baseline] = {}
    for layer in list_layers(connection):
        run = (layer.dataset, layer.run_id)
        if run not in baselines:
            ids = sample_ids(connection, *run, BASELINE_IMAGES)
            baselines[run] = _Baseline(load_embeddings(connection, *run, ids))
        baseline, rows = baselines[run], []
        for top in iter_top_examples(connection, layer):
            if len(top.ids) >= 2:
                clarity = mean_cosine(top.embeddings)
                rows.append(
                    (top.unit, len(top.ids), clarity, baseline.compare(clarity, len(top.ids)))
                )
        if rows:
            units, sizes, clarities, sds = (np.array(column) for column in zip(*rows, strict=True))
            yield _table(
                "neuron_clarity",
                layer,
                units.astype(np.int32),
                sizes.astype(np.int32),
                clarities,
                np.full(len(rows), baseline.mean),
                pa.array(sds, mask=np.isnan(sds)),
            )


class _Baseline:
    """What random images of a run come to."""

    def __init__(self, embeddings: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        self.embeddings = embeddings
        self.mean = mean_cosine(embeddings) if len(embeddings) >= 2 else np.nan
        self._sds: dict[int, float] = {}

    def compare(self, clarity: float, size: int) -> float:
        """How far above the mean, in SD of random sets of that size; NaN if these do not differ."""
        if size not in self._sds:
            random = np.random.default_rng(size)
            sets = (
                random.choice(len(self.embeddings), size, replace=False)
                for _ in range(BASELINE_SETS)
            )
            self._sds[size] = float(np.std([mean_cosine(self.embeddings[s]) for s in sets]))
        sd = self._sds[size]
        return (clarity - self.mean) / sd if sd > 1e-9 else np.nan


def compute_contrasting_examples(
    connection: duckdb.DuckDBPyConnection,
    progress: ProgressCallback,
    max_bytes: int = BLOCK_BYTES,
) -> Iterator[pa.Table]:
    """Rows of ``contrasting_examples``: like the top examples in embedding, low in activation.

    Low is at or below the neuron's (lower) median over the images looked at, which is 0 for a neuron
    that is at rest for half of them. Its top examples are never among them.
    """
    for layer in list_whole_layers(connection):
        ids = sample_ids(connection, layer.dataset, layer.run_id, CONTRAST_IMAGES)
        top, means = {}, {}
        for item in iter_top_examples(connection, layer):
            top[item.unit], means[item.unit] = item.ids, _direction(item.embeddings)
        for block in iter_blocks(connection, layer, ids, max_bytes // 2):
            units = [
                unit
                for unit in range(block.first_unit, block.first_unit + len(block.activations))
                if unit in means
            ]
            if not units:
                continue
            activations = torch.from_numpy(block.activations[np.array(units) - block.first_unit])
            centres = torch.from_numpy(np.stack([means[unit] for unit in units]))
            cosines = torch.empty(len(units), len(ids))
            for places, values in read_embeddings(connection, layer.dataset, layer.run_id, ids):
                cosines[:, torch.from_numpy(places)] = centres @ torch.from_numpy(values).T
            cosines[activations > activations.median(dim=1, keepdim=True).values] = OUT
            for row, unit in enumerate(units):
                places = np.searchsorted(ids, top[unit])
                places = places[places < len(ids)]
                places = places[np.isin(ids[places], top[unit])]
                cosines[row, torch.from_numpy(places)] = OUT
            yield _contrasts(layer, np.array(units, np.int32), ids, cosines, activations)


def _direction(embeddings: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, Any]:
    mean = embeddings.mean(axis=0)
    direction: np.ndarray[Any, Any] = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return direction.astype(np.float32)


def _contrasts(
    layer: RunLayer,
    units: np.ndarray[Any, np.dtype[np.int32]],
    ids: Ids,
    cosines: torch.Tensor,
    activations: torch.Tensor,
) -> pa.Table:
    """The largest cosines of each row that are not `OUT`; equal ones in order of the id."""
    columns = torch.arange(len(ids))
    found = [
        order_keys(some, columns).topk(min(CONTRASTS, len(ids)), dim=1).indices
        for some in torch.split(cosines, ROWS_AT_ONCE)
    ]
    places = torch.cat(found)
    rows, ranks = torch.nonzero(cosines.gather(1, places) > OUT, as_tuple=True)
    columns = places[rows, ranks]
    values, ranks = cosines[rows, columns], ranks + 1
    return _table(
        "contrasting_examples",
        layer,
        units[rows.numpy()],
        ranks.int().numpy(),
        ids[columns.numpy()],
        values.double().clamp(-1, 1).numpy(),
        activations[rows, columns].numpy(),
    )


def _table(name: str, layer: RunLayer, *columns: Any) -> pa.Table:
    """Rows of one layer: the columns after dataset, run_id and layer."""
    size = len(columns[0])
    names = [pa.array([v] * size, pa.string()) for v in (layer.dataset, layer.run_id, layer.layer)]
    return pa.table([*names, *columns], schema=DERIVED[name].arrow_schema())
