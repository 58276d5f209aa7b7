"""Compaction: ranks are SciPy's within halves, no row is lost, and a new shard is seen at once."""

from __future__ import annotations

import numpy as np
import pytest
from damaging import copy_of, double_activations
from textures import POST, PRE, make_warehouse, read_matrix, write_textures

from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest
from pipeline.upkeep.check import check, run_violations
from pipeline.upkeep.compact import compact
from pipeline.warehouse.connect import connect

pytestmark = pytest.mark.slow


def _halves(connection):
    """example_id -> half of distinct images; None for a repeated one."""
    return dict(connection.execute(
        "select example_id, case when duplicate_of is null then half end from examples"
    ).fetchall())  # fmt: skip


@pytest.mark.parametrize("compacted", [False, True])
def test_ranks_are_scipys_within_halves_compacted_or_not(tiny_warehouse, tmp_path, compacted):
    from scipy.stats import rankdata

    place = copy_of(tiny_warehouse, tmp_path)
    columns = "layer, unit, example_id, activation"
    with connect(place) as connection:
        before = connection.execute(f"select {columns} from activations order by all").fetchall()
        assert connection.execute("select max(rank2) from activations").fetchall() == [(None,)]
    if compacted:
        done = compact(str(place))
        assert (done.run_count, done.row_count) == (1, len(before))
        assert compact(str(place)).run_count == 0
    with connect(place) as connection:
        after = connection.execute(f"select {columns} from activations order by all").fetchall()
        assert after == before
        halves = _halves(connection)
        assert None in halves.values()
        for layer in (PRE, POST):
            dense, ids = read_matrix(connection, layer)
            expected, stats = {}, {}
            for half in ("screening", "testing"):
                columns = np.array([n for n, i in enumerate(ids) if halves[i] == half])
                for unit in range(len(dense)):
                    values = dense[unit, columns]
                    stored = values[values > 0] if layer == PRE else values
                    ranks = rankdata(values)
                    for n, value, rank in zip(columns, values, ranks, strict=True):
                        if layer == POST or value > 0:
                            expected[unit, int(ids[n])] = round(2 * rank)
                    sizes = np.unique(stored, return_counts=True)[1]
                    if len(stored):
                        ties = float((sizes.astype(float) ** 3 - sizes).sum())
                        stats[unit, half] = (len(stored), ties, stored.sum())
            rows = connection.execute(
                "select unit, example_id, rank2 from stg_ranks where layer = $layer",
                {"layer": layer},
            ).fetchall()
            assert {(unit, i): rank2 for unit, i, rank2 in rows} == expected
            rows = connection.execute(
                "select unit, half, stored_count, tie_sum, activation_sum from stg_rank_stats "
                "where layer = $layer",
                {"layer": layer},
            ).fetchall()
            assert {row[:2] for row in rows} == set(stats)
            for unit, half, *values in rows:
                assert values == pytest.approx(stats[unit, half])
            if compacted:
                repeated = connection.execute(
                    "select distinct rank2 from activations inner join examples "
                    "using (dataset, example_id) where duplicate_of is not null"
                ).fetchall()
                assert repeated == [(None,)]
    assert run_violations(check(place)) == 0


def test_a_new_shard_after_compaction_is_seen_at_once(tmp_path):
    place = make_warehouse(tmp_path, ("visual.layer3.0",))
    compact(str(place))
    write_textures(tmp_path / "tars", shard_count=4)
    ingest(
        IngestConfig(str(place), "textures"), IngestStep("webdataset", (str(tmp_path / "tars"),))
    )
    config = ExtractConfig(
        str(place), "textures", "RN-demo:random", ("visual.layer3.0",), device="cpu", top_k=10
    )
    assert extract(config).skipped_shard_count == 3
    with connect(place) as connection:
        (runs,) = connection.execute("select is_compacted, written_count from runs").fetchall()
        assert runs == (False, 160)
    compact(str(place))
    with connect(place) as connection:
        assert connection.execute("select is_compacted from runs").fetchall() == [(True,)]


def test_a_shard_that_is_written_anew_makes_the_compaction_stale(tmp_path):
    """Another device gives other last digits: what was compacted is no longer what is stored."""
    place = make_warehouse(tmp_path, ("visual.layer3.0",))
    compact(str(place))
    total = double_activations(place, 1)
    sql = "select sum(activation) from activations where example_id >> 20 = 1"
    with connect(place) as connection:
        assert connection.execute("select is_compacted from runs").fetchall() == [(False,)]
        assert connection.execute(sql).fetchone() == (pytest.approx(total, rel=1e-6),)
    assert compact(str(place)).run_count == 1
    with connect(place) as connection:
        assert connection.execute("select is_compacted from runs").fetchall() == [(True,)]
        assert connection.execute(sql).fetchone() == (pytest.approx(total, rel=1e-6),)
    assert compact(str(place)).skipped_run_count == 1
