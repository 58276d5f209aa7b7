"""As many neurons as the MLPs of a ViT have: more rows than where DuckDB changes how it joins."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.data import make_warehouse
from pipeline.warehouse.connect import connect

pytestmark = pytest.mark.slow


def test_a_wide_layer_is_answered_as_a_narrow_one(tmp_path: Path) -> None:
    """DuckDB 2.0 ends with an internal error where very many rows, joined to few, are filtered by a join."""
    values = make_warehouse(str(tmp_path), 2, 419, 10_624).float()
    with connect(tmp_path) as connection:
        rows = connection.execute(
            "select unit, min, max, quantile_50 from neuron_stats order by unit"
        ).fetchall()
        tops = connection.execute("select count(distinct unit) from top_examples").fetchall()
    assert [unit for unit, *_ in rows] == list(range(values.shape[1]))
    assert tops == [(values.shape[1],)]
    for unit, least, most, middle in rows[:: len(rows) // 10]:
        assert most == values[:, unit].max().item()
        assert least == values[:, unit].min().item() <= middle <= most
