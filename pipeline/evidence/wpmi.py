"""Soft weighted pointwise mutual information of neurons and concepts, by CLIP's own similarity.

CLIP-Dissect, Oikarinen & Weng 2023 (arXiv:2204.10965), section 3: how much more likely CLIP finds a
concept in the images that excite a neuron most than in those that excite other neurons of the layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import torch

from pipeline.base.progress import ProgressCallback
from pipeline.evidence.matrix import (
    RunLayer,
    example_ids,
    iter_blocks,
    list_whole_layers,
    load_embeddings,
)
from pipeline.extract.ranking import order_keys
from pipeline.tables.computed import DERIVED

TOP_K = 100
"""Images in a neuron's top set B."""
SHARPNESS = 10.0
"""a: what cosines are multiplied with before the softmax over concepts."""
WEIGHT = 1.0
"""lambda: weight of the concept's own likelihood."""
FIRST_MEMBERSHIP, LAST_MEMBERSHIP = 0.998, 0.97
"""Probability that the strongest and the weakest of the top images belong to B; linear between."""
BEST_COUNT = 20
"""Concepts kept of each neuron beside those that are tested in the run."""
FACTORS = 8
"""So many are multiplied before a logarithm is taken: each is at least 0.002, and float32 holds 1e-38."""
UNITS_AT_ONCE = 64
"""Whose products are held at once."""
UNITS_RANKED_AT_ONCE = 16
"""Whose keys are held at once, to find their top images."""
IMAGES_AT_ONCE = 20_000
"""Top images, counted for each neuron, whose embeddings and probabilities are held at once."""


def log_expected(likely: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """``log E[p(t|B)]``: the sum over B's images of ``log(1 + p(x in B) (p(t|x) - 1))``.

    Args:
        likely: Float ``[N, C]``: ``p(t|x)`` of images.
        places: Int64 ``[U, K]``: where in them each neuron's top images are, strongest first.

    Returns:
        ``[U, C]``, in nats, at most 0.
    """
    count = places.shape[1]
    total = likely.new_zeros(len(places), likely.shape[1])
    product = torch.ones_like(total)
    members = torch.linspace(FIRST_MEMBERSHIP, LAST_MEMBERSHIP, count, dtype=torch.float64)
    for rank, member in enumerate(members.tolist()):
        product *= likely.index_select(0, places[:, rank]).mul_(member).add_(1 - member)
        if rank % FACTORS == FACTORS - 1 or rank == count - 1:
            total += product.log()
            product.fill_(1)
    return total


def soft_wpmi(log_given: torch.Tensor) -> torch.Tensor:
    """``log E[p(t|B)] - lambda log p(t)``, p(t) being the mean of ``E[p(t|B)]`` over the neurons.

    Args:
        log_given: ``[U, C]`` of :func:`log_expected`, all neurons of a layer.
    """
    marginal = torch.logsumexp(log_given.double(), 0) - math.log(max(1, len(log_given)))
    return (log_given.double() - WEIGHT * marginal).float()


def concept_probabilities(images: torch.Tensor, concepts: torch.Tensor) -> torch.Tensor:
    """``p(t|x)``: softmax over concepts of ``a`` times the cosine.

    Args:
        images: ``[N, D]`` image embeddings, any length.
        concepts: ``[C, D]`` text embeddings of length one.
    """
    cosines = torch.nn.functional.normalize(images.float(), dim=1) @ concepts.float().T
    probabilities: torch.Tensor = torch.softmax(SHARPNESS * cosines, 1)
    return probabilities


def compute_soft_wpmi(
    connection: duckdb.DuckDBPyConnection, progress: ProgressCallback
) -> Iterator[pa.Table]:
    """Rows of ``soft_wpmi`` for every layer of every run whose concepts' prompts are embedded.

    A neuron that is never above zero on either half has no row: its top images say nothing. If fewer
    than 100 images excite it, images at rest fill up its top set, by example_id.
    """
    for layer in list_whole_layers(connection):
        names, concepts = _read_concepts(connection, layer)
        if not names:
            continue
        tested = {name for (name,) in connection.execute(
            "select distinct concept from tested_concepts "
            "where dataset = $dataset and run_id = $run_id",
            {"dataset": layer.dataset, "run_id": layer.run_id},
        ).fetchall()}  # fmt: skip
        by_half = [
            _score_half(connection, layer, half, concepts) for half in ("screening", "testing")
        ]
        yield from _tables(layer, names, np.array([n in tested for n in names]), *by_half)
        progress.advance(0, f"soft_wpmi {layer.run_id} {layer.layer}: {len(names)} concepts")


def _score_half(
    connection: duckdb.DuckDBPyConnection, layer: RunLayer, half: str, concepts: torch.Tensor
) -> torch.Tensor:
    """Float32 ``[U, C]``; NaN for neurons that nothing excites."""
    ids = example_ids(connection, layer.dataset, layer.run_id, half)
    given = torch.full((layer.unit_count, len(concepts)), torch.nan)
    if not len(ids):
        return given
    places, is_active = _find_top(connection, layer, ids)
    units_at_once = max(1, IMAGES_AT_ONCE // places.shape[1])
    for start in range(0, layer.unit_count, units_at_once):
        needed, where = torch.unique(places[start : start + units_at_once], return_inverse=True)
        images = load_embeddings(connection, layer.dataset, layer.run_id, ids[needed.numpy()])
        likely = concept_probabilities(torch.from_numpy(images), concepts)
        for first in range(0, len(where), UNITS_AT_ONCE):
            some = where[first : first + UNITS_AT_ONCE]
            begin = start + first
            given[begin : begin + len(some)] = log_expected(likely, some)
    given[is_active] = soft_wpmi(given[is_active])
    given[~is_active] = torch.nan
    return given


def _find_top(
    connection: duckdb.DuckDBPyConnection, layer: RunLayer, ids: np.ndarray[Any, Any]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Places in ``ids`` of each neuron's top images, int64 ``[U, K]``; and bool ``[U]``: is it ever
    above zero?
    """
    columns = torch.arange(len(ids))
    places, active = [], []
    for block in iter_blocks(connection, layer, ids):
        for some in torch.split(torch.from_numpy(block.activations), UNITS_RANKED_AT_ONCE):
            places.append(order_keys(some, columns).topk(min(TOP_K, len(ids)), dim=1).indices)
            active.append(some.amax(1) > 0)
    return torch.cat(places), torch.cat(active)


def _read_concepts(
    connection: duckdb.DuckDBPyConnection, layer: RunLayer
) -> tuple[list[str], torch.Tensor]:
    rows = connection.execute(
        "select concept, embedding from raw_concept_embeddings "
        "where dataset = $dataset and run_id = $run_id order by concept",
        {"dataset": layer.dataset, "run_id": layer.run_id},
    ).fetchall()
    return [name for name, _ in rows], torch.tensor([vector for _, vector in rows])


def _tables(
    layer: RunLayer,
    names: Sequence[str],
    is_tested: np.ndarray[Any, np.dtype[np.bool_]],
    screening: torch.Tensor,
    testing: torch.Tensor,
) -> Iterator[pa.Table]:
    """The rows that are kept: tested concepts, and each neuron's best on screening."""
    concept_names = np.array(names, object)
    schema = DERIVED["soft_wpmi"].arrow_schema()
    for start in range(0, layer.unit_count, 512):
        first = screening[start : start + 512].numpy()
        second = testing[start : start + 512].numpy()
        order = np.argsort(-np.nan_to_num(first, nan=-np.inf), axis=1, kind="stable")
        keep = np.tile(is_tested, (len(first), 1))
        np.put_along_axis(keep, order[:, :BEST_COUNT], True, axis=1)
        keep &= ~(np.isnan(first) & np.isnan(second))
        units, columns = keep.nonzero()
        values = [pa.array(m[units, columns], from_pandas=True) for m in (first, second)]
        yield pa.Table.from_arrays(
            [
                pa.array([layer.dataset] * len(units), pa.string()),
                pa.array([layer.run_id] * len(units), pa.string()),
                pa.array([layer.layer] * len(units), pa.string()),
                pa.array((units + start).astype(np.int32)),
                pa.array(concept_names[columns], pa.string()),
                *values,
            ],
            schema=schema,
        )
