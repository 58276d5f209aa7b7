"""Rank statistics that a build computes are those of the view, whatever is stored and however it is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.stats import rankdata

from pipeline.base.progress import NoProgress
from pipeline.evidence.matrix import Places
from pipeline.evidence.ranks import SCHEMA, Images, compute_concept_ranks, rank_block
from pipeline.warehouse.connect import connect
from pipeline.warehouse.views import find_view


@pytest.mark.slow  # the view sorts every activation in SQL
def test_they_are_what_the_view_answers(tiny_warehouse):
    """Rectified and signed layers, a text tower, repeated images."""
    view = find_view("concept_ranks")
    with connect(tiny_warehouse, use_marts=False) as connection:
        order = ", ".join(view.key)
        expected = connection.execute(f"from concept_ranks order by {order}").fetchall()
        for rows_at_once in (2_000, 4 << 20):
            tables = list(compute_concept_ranks(connection, NoProgress(), rows_at_once))
            found = [tuple(row.values()) for table in tables for row in table.to_pylist()]
            assert len(found) == len(expected) == 5 * 512  # concepts of neurons
            assert found == expected  # to the bit: sums of whole numbers, then the same steps
    assert [column.name for column in view.columns] == SCHEMA.names


VALUES = st.sampled_from([-2.0, -0.0, 0.0, 0.5, 0.5, 1.0, 3.0])


@given(
    st.lists(st.lists(st.none() | VALUES, min_size=7, max_size=7), min_size=1, max_size=4),
    st.lists(st.booleans(), min_size=7, max_size=7),
)
def test_ranks_and_ties_are_scipys(values, testing):
    """None is not stored: below all that is, and tied."""
    is_testing = np.array(testing, np.int64)
    sizes = np.bincount(is_testing, minlength=2).astype(float)
    ids = np.arange(7) * ((1 << 20) + 1)
    none = csr_array((7, 0))
    images = Images(Places(ids), is_testing, none, {}, sizes, np.zeros((2, 0)))
    stored = [(u, n, v) for u, row in enumerate(values) for n, v in enumerate(row) if v is not None]
    unit, place, value = (np.array(c) for c in zip((0, 0, 0.0), *stored, strict=True))
    found = rank_block(
        unit[1:].astype(np.int64), place[1:].astype(np.int64), value[1:], len(values), images
    )
    for u, row in enumerate(values):
        for half in (0, 1):
            places = np.flatnonzero(is_testing == half)
            whole = [-np.inf if row[n] is None else row[n] + 0.0 for n in places]
            at, absent = 2 * u + half, found.absent[2 * u + half]
            ranks = found.ranks.toarray()[at, places] + absent + 1
            assert ranks.tolist() == (2 * rankdata(whole)).tolist()
            counts = np.unique(whole, return_counts=True)[1]
            assert found.ties[at] == sum(int(t) ** 3 - t for t in counts)


def test_an_image_of_no_run_has_no_place():
    ids = np.array([3, 5, (2 << 20) + 1, (2 << 20) + 4])
    asked = np.array([*ids, 0, 4, 6, 1 << 20, (2 << 20) + 5, 9 << 20])
    assert Places(ids).find(asked).tolist() == [0, 1, 2, 3, -1, -1, -1, -1, -1, -1]
    assert Places(ids[:0]).find(asked).tolist() == [-1] * len(asked)
