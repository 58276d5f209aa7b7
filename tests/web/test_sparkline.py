"""The outline of a distribution holds every image once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.sparkline import spread


@st.composite
def _bins(draw):
    """Edges and columns that halve evenly: no sum or quotient of them is rounded."""
    widths = draw(st.lists(st.sampled_from([0.5, 1.0, 2.0, 4.0]), min_size=1, max_size=20))
    edges = np.cumsum([draw(st.integers(-50, 50)), *widths])
    counts = draw(st.lists(st.integers(0, 10**6), min_size=len(widths), max_size=len(widths)))
    return list(zip(edges[:-1], edges[1:], counts, strict=True))


@given(_bins(), st.sampled_from([1, 2, 4, 8, 16, 32]))
def test_no_image_is_lost_or_counted_twice(bins, columns):
    found = spread(bins, columns)
    assert len(found) == columns and (found >= 0).all()
    assert found.sum() == sum(count for _, _, count in bins)


def test_images_lie_where_their_bin_is():
    assert list(spread([(0, 1, 8), (1, 2, 0), (2, 4, 4)], 4)) == [8, 0, 2, 2]
