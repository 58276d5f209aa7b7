"""How many neurons would be labelled if concepts meant nothing: the rule of labels on permuted concepts.

Every distinct image (a group of copies is one) hands its concepts to another one of its run and half, so
concepts keep their number of images and go together as before; only what the neurons saw is another image.
Counting is a product of two sparse matrices: a hundred permutations cost less than the labels.

The rule is that of ``label_candidates`` and ``neuron_labels``, but for one thing: a choice need not be
above 0.5 in AUROC on the screening half. The testing half, which decides, does not know that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array
from scipy.special import gammaln, logsumexp

from pipeline.base.progress import ProgressCallback
from pipeline.tables.computed import DERIVED

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Half:
    """One half of a run: its distinct images, what they show, and which are at the top of whom."""

    size: int
    """Distinct images."""
    shown: csr_array
    """int64 ``[images, concepts]``: 1 where an image shows a tested concept."""
    top: csr_array
    """int64 ``[neurons, images]``: 1 for the neuron's top examples."""

    @property
    def marked(self) -> Ints:
        """``[concepts]``: images that show each."""
        return np.asarray(self.shown.sum(axis=0), dtype=np.int64)

    @property
    def drawn(self) -> Ints:
        """``[neurons]``: top examples of each."""
        return np.asarray(self.top.sum(axis=1), dtype=np.int64)

    def count(self, order: Ints) -> csr_array:
        """``[neurons, concepts]``: top examples that show each, if image i shows what order[i] does."""
        moved = (self.top.data, order[self.top.indices], self.top.indptr)
        return csr_array(csr_array(moved, shape=self.top.shape) @ self.shown)


def hypergeometric_log_tail(population: int, marked: Ints, drawn: Ints, hits: Ints) -> Floats:
    """``ln P(X >= hits)``: of a population some are marked; X of those that are drawn are.

    Args:
        population: How many there are.
        marked: ``[P]``.
        drawn: ``[P]``.
        hits: ``[P]``.
    """
    if not len(hits):
        return np.zeros(0)
    cases, back = np.unique(np.stack([marked, drawn, hits]), axis=1, return_inverse=True)
    some, few, least = (row[:, None].astype(float) for row in cases)
    most = np.minimum(some, few)
    x = least + np.arange(int((most - least).max(initial=0)) + 1)
    possible = (x <= most) & (x >= some + few - population)
    at = np.where(possible, x, most)
    terms = _log_choose(some, at) + _log_choose(population - some, few - at)
    terms = np.where(possible, terms - _log_choose(population, few), -np.inf)
    tails = np.where(least[:, 0] <= 0, 0.0, logsumexp(terms, axis=1))
    answer: Floats = np.minimum(tails, 0.0)[back.ravel()]
    return answer


def _log_choose(n: Any, k: Any) -> Any:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def count_labelled(
    screening: Half,
    testing: Half,
    order: tuple[Ints, Ints],
    circular: tuple[Bools, Bools],
    min_count: int,
    max_q: float,
) -> int:
    """How many neurons are labelled if images show what others do.

    Args:
        screening: The half that concepts are chosen on.
        testing: The half that decides.
        order: Of each half: which image's concepts each image gets.
        circular: ``[neurons]`` and ``[concepts]``: a pair of both is never a label.
        min_count: Top examples that must show a concept to make it a choice.
        max_q: Benjamini-Hochberg q of a label.
    """
    counts = screening.count(order[0]).tocoo()
    keep = counts.data >= min_count
    neuron, concept = (axis[keep].astype(np.int64) for axis in counts.coords)
    log_p = hypergeometric_log_tail(
        screening.size, screening.marked[concept], screening.drawn[neuron], counts.data[keep]
    )
    ranking = np.lexsort((concept, np.round(log_p, 9), neuron))
    first = np.unique(neuron[ranking], return_index=True)[1]
    chosen = ranking[first]
    neuron, concept = neuron[chosen], concept[chosen]
    counts = testing.count(order[1])
    hits = _values_at(counts, neuron, concept)
    log_p = hypergeometric_log_tail(
        testing.size, testing.marked[concept], testing.drawn[neuron], hits
    )
    p = np.sort(np.exp(log_p[~(circular[0][neuron] & circular[1][concept])]))
    passing = np.flatnonzero(p * len(p) <= max_q * np.arange(1, len(p) + 1))
    return int(passing[-1]) + 1 if len(passing) else 0


def _values_at(counts: csr_array, neuron: Ints, concept: Ints) -> Ints:
    """``counts[neuron, concept]``, pair by pair; 0 where nothing is stored."""
    found = counts.tocoo()
    width = np.int64(counts.shape[1])
    keys = found.coords[0].astype(np.int64) * width + found.coords[1]
    order = np.argsort(keys)
    wanted = neuron * width + concept
    place = np.minimum(np.searchsorted(keys[order], wanted), max(0, len(keys) - 1))
    if not len(keys):
        return np.zeros(len(wanted), np.int64)
    is_there = keys[order[place]] == wanted
    return np.where(is_there, found.data[order[place]], 0).astype(np.int64)


def compute_label_nulls(
    connection: duckdb.DuckDBPyConnection, progress: ProgressCallback
) -> Iterator[pa.Table]:
    """Rows of ``label_nulls``: labelled neurons of each run and repeat, concepts permuted by a seed."""
    repeats, min_count, max_q = connection.execute(
        "select label_null_repeats, label_min_count, label_max_q from settings"
    ).fetchall()[0]
    runs = connection.execute(
        "select dataset, run_id from stg_runs order by dataset, run_id"
    ).fetchall()
    schema = DERIVED["label_nulls"].arrow_schema()
    for dataset, run_id in runs if repeats else ():
        halves, circular = _read_run(connection, dataset, run_id)
        found = []
        for repeat in range(repeats):
            rng = np.random.default_rng(repeat)
            order = [rng.permutation(half.size) for half in halves]
            found.append(count_labelled(*halves, (order[0], order[1]), circular, min_count, max_q))
        columns = [[dataset] * repeats, [run_id] * repeats, list(range(repeats)), found]
        yield pa.table(dict(zip(schema.names, columns, strict=True)), schema=schema)
        progress.advance(0, f"{run_id}: labels with permuted concepts, {repeats} times")


def _read_run(
    connection: duckdb.DuckDBPyConnection, dataset: str, run_id: str
) -> tuple[tuple[Half, Half], tuple[Bools, Bools]]:
    """Both halves of a run, and which of its neurons and concepts are circular together."""
    place = {"dataset": dataset, "run_id": run_id}

    def read(sql: str) -> dict[str, np.ndarray[Any, Any]]:
        return dict(connection.execute(sql, place).fetchnumpy())

    neurons = read(
        """
        select tower = 'text' as is_circular, unit_count
        from stg_layers where dataset = $dataset and run_id = $run_id order by layer
        """
    )
    sizes = np.asarray(neurons["unit_count"], dtype=np.int64)
    concepts = read(
        """
        select concept_id, origin in ('texts', 'stimulus') as is_circular
        from tested_concepts
        where
            dataset = $dataset and run_id = $run_id
            and list_contains((select label_origins from settings), origin)
        order by concept_id
        """
    )
    ids = np.asarray(concepts["concept_id"], dtype=np.int64)
    halves = []
    for half in ("screening", "testing"):
        place["half"] = half
        images = np.asarray(read(_IMAGES)["example_id"], dtype=np.int64)
        shown, top = read(_SHOWN), read(_TOP)
        rows = np.searchsorted(images, shown["example_id"])
        columns = np.searchsorted(ids, shown["concept_id"])
        seen = np.searchsorted(images, top["example_id"])
        shape = (int(sizes.sum()), len(images))
        first = np.concatenate([[0], np.cumsum(sizes)])
        neuron = first[np.asarray(top["layer_place"], dtype=np.int64)] + top["unit"]
        halves.append(
            Half(
                len(images),
                _ones(rows, columns, (len(images), len(ids))),
                _ones(neuron, seen, shape),
            )
        )
        del place["half"]
    is_text = np.repeat(np.asarray(neurons["is_circular"], dtype=bool), sizes)
    return (halves[0], halves[1]), (is_text, np.asarray(concepts["is_circular"], dtype=bool))


def _ones(rows: Ints, columns: Ints, shape: tuple[int, int]) -> csr_array:
    ones = np.ones(len(rows), np.int64)
    return csr_array((ones, (np.asarray(rows), np.asarray(columns))), shape=shape)


_IMAGES = """
select example_id
from stg_run_examples
inner join stg_examples using (dataset, example_id)
where dataset = $dataset and run_id = $run_id and half = $half and not is_duplicate
order by example_id
"""

_SHOWN = """
select run_concepts.example_id, tested_concepts.concept_id
from run_concepts
inner join tested_concepts using (dataset, run_id, concept, category, origin)
where
    dataset = $dataset and run_id = $run_id and half = $half
    and list_contains((select label_origins from settings), origin)
"""

_TOP = """
with numbered_layers as (
    select layer, row_number() over (order by layer) - 1 as layer_place
    from stg_layers where dataset = $dataset and run_id = $run_id
)
select layer_place, unit, example_id
from top_examples
inner join stg_examples using (dataset, example_id)
inner join numbered_layers using (layer)
where
    dataset = $dataset and run_id = $run_id and half = $half
    and polarity = 'positive' and activation <> 0
    and example_rank <= (select label_top_k from settings)
"""
