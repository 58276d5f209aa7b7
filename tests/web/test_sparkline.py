"""The outline of a distribution holds every image once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.sparkline import spread


@st.composite
def _bins(draw):
    widths = draw(st.lists(st.floats(0.01, 10), min_size=1, max_size=20))
    edges = np.cumsum([draw(st.floats(-50, 50)), *widths])
    counts = draw(st.lists(st.integers(0, 10**6), min_size=len(widths), max_size=len(widths)))
    return list(zip(edges[:-1], edges[1:], counts, strict=True))


@given(_bins(), st.integers(1, 40))
def test_no_image_is_lost_or_counted_twice(bins, columns):
    found = spread(bins, columns)
    assert len(found) == columns and (found >= 0).all()
    assert found.sum() == pytest.approx(sum(count for _, _, count in bins), rel=1e-9)


def test_images_lie_where_their_bin_is():
    assert spread([(0, 1, 8), (1, 2, 0), (2, 4, 4)], 4) == pytest.approx([8, 0, 2, 2])
