"""The strata of the Halle Berry test: facets and languages, their images, and who shows what."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np

from pipeline.evidence.matrix import RunLayer, example_ids

Ints = np.ndarray[Any, np.dtype[np.int64]]
Ints32 = np.ndarray[Any, np.dtype[np.int32]]

SURROGATES = 99
"""Random sets of each concept and stratum: the smallest p is 1 / 100."""

_TEMPORARY = ("facet_strata", "facet_concepts", "facet_members", "facet_positives")


@dataclass(frozen=True)
class Half:
    """The images of a stratum that are in one half of the run."""

    columns: Ints
    """int64 ``[n]``, ascending: their places among the distinct images of the run."""
    positives: dict[int, Ints]
    """concept_id -> int64 ``[p]``: places in ``columns`` of those that show the concept."""

    def count(self, concept_id: int) -> int:
        """How many of them show a concept."""
        return len(self.positives.get(concept_id, ()))


@dataclass(frozen=True)
class Stratum:
    """One facet or language of one run."""

    dataset: str
    dimension: str
    name: str
    facet_origin: str
    testing: Half
    screening: Half

    def draw(self) -> Ints32:
        """Surrogates: int32 ``[99, m]``, places in ``testing.columns`` in random order.

        The first ``p`` of a row are a random set of ``p`` images, for p up to the largest number of
        positives, m. One seed for each surrogate and stratum, whatever the run, its neurons and its
        concepts.
        """
        longest = max((len(shown) for shown in self.testing.positives.values()), default=0)
        out = np.empty((SURROGATES, longest), np.int32)
        for k in range(SURROGATES):
            text = "\0".join((self.dataset, self.dimension, self.name, self.facet_origin, str(k)))
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
            out[k] = np.random.default_rng(seed).permutation(len(self.testing.columns))[:longest]
        return out


@contextmanager
def gather_strata(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Strata, their images, candidate concepts and positives of all runs, as tables of integers.

    Inside the context ``read_pairs`` and ``read_strata`` answer, and texts are searched only once.
    """
    try:
        _gather(connection)
        yield
    finally:
        for name in _TEMPORARY:
            connection.execute(f"drop table if exists {name}")


def _gather(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        """
        create or replace temp table facet_strata as
        select
            row_number() over (
                order by dataset, run_id, dimension, stratum, facet_origin
            ) as stratum_id,
            dataset, run_id, dimension, stratum, facet_origin
        from (
            select distinct dataset, run_id, dimension, stratum, facet_origin
            from example_strata
        )
        """
    )
    connection.execute(
        """
        create or replace temp table facet_concepts as
        select
            row_number() over (order by dataset, run_id, concept, category, origin) as concept_id,
            dataset, run_id, concept, category, origin
        from (
            select distinct dataset, run_id, concept, category, origin from facet_candidates
        )
        """
    )
    connection.execute(
        """
        create or replace temp table facet_members as
        select facet_strata.stratum_id, example_strata.example_id
        from example_strata
        inner join facet_strata using (dataset, run_id, dimension, stratum, facet_origin)
        order by 1, 2
        """
    )
    connection.execute(
        """
        create or replace temp table facet_positives as
        select facet_strata.stratum_id, facet_concepts.concept_id, stratum_concepts.example_id
        from stratum_concepts
        inner join facet_strata using (dataset, run_id, dimension, stratum, facet_origin)
        inner join facet_concepts using (dataset, run_id, concept, category, origin)
        order by 1, 2, 3
        """
    )


def read_pairs(
    connection: duckdb.DuckDBPyConnection, layer: RunLayer
) -> dict[str, np.ndarray[Any, Any]]:
    """Candidates of a layer: unit, rank, concept_id and names, in the order of the table's key."""
    found = connection.execute(
        """
        select
            facet_candidates.unit, facet_candidates.candidate_rank, facet_concepts.concept_id,
            concept, category, origin
        from facet_candidates
        inner join facet_concepts using (dataset, run_id, concept, category, origin)
        where dataset = $dataset and run_id = $run_id and layer = $layer
        order by unit, concept, category, origin
        """,
        {"dataset": layer.dataset, "run_id": layer.run_id, "layer": layer.layer},
    ).fetchnumpy()
    return {name: np.asarray(column) for name, column in found.items()}


def read_strata(
    connection: duckdb.DuckDBPyConnection, layer: RunLayer, ids: Ints
) -> dict[int, Stratum]:
    """The strata of a run in the order of their names, by stratum_id."""
    testing = example_ids(connection, layer.dataset, layer.run_id, "testing")
    rows = connection.execute(
        """
        select stratum_id, dimension, stratum, facet_origin from facet_strata
        where dataset = $dataset and run_id = $run_id order by stratum_id
        """,
        {"dataset": layer.dataset, "run_id": layer.run_id},
    ).fetchall()
    strata = {}
    for stratum_id, dimension, name, facet_origin in rows:
        members = connection.execute(
            "select example_id from facet_members where stratum_id = $id order by example_id",
            {"id": stratum_id},
        ).fetchnumpy()["example_id"]
        shown = connection.execute(
            "select concept_id, example_id from facet_positives where stratum_id = $id "
            "order by concept_id, example_id",
            {"id": stratum_id},
        ).fetchnumpy()
        is_testing = np.isin(members, testing)
        strata[int(stratum_id)] = Stratum(
            layer.dataset,
            dimension,
            name,
            facet_origin,
            _half(members[is_testing], shown, ids),
            _half(members[~is_testing], shown, ids),
        )
    return strata


def _half(members: Ints, shown: dict[str, np.ndarray[Any, Any]], ids: Ints) -> Half:
    """A half of a stratum, from its example_ids and all its (concept_id, example_id)."""
    keep = np.isin(shown["example_id"], members)
    concepts, places = shown["concept_id"][keep], shown["example_id"][keep]
    known, first = np.unique(concepts, return_index=True)
    groups = np.split(np.searchsorted(members, places), first[1:]) if len(known) else []
    positives = {int(c): group for c, group in zip(known, groups, strict=True)}
    return Half(np.searchsorted(ids, members), positives)
