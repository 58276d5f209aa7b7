"""Compaction: ranks are SciPy's within halves, no row is lost, and a new shard is seen at once."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from damaging import copy_of, double_activations
from textures import POST, PRE, make_warehouse, read_matrix, write_textures

from bench.data import synthesise_activations, synthetic_output, write_run
from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep
from pipeline.base.storage import Store
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest
from pipeline.tables.audit import audit_warehouse
from pipeline.upkeep.check import check, run_violations
from pipeline.upkeep.compact import compact
from pipeline.upkeep.vacuum import find_leftovers
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


def test_a_run_that_grows_is_sorted_in_levels_and_its_ranks_stay_exact(tmp_path):
    """Levels of other shards, merged once they are no longer small, answer as the shards do, to the bit."""
    values = synthesise_activations(12 * 60, 5, 0.4)
    values[:, 3] = torch.where(values[:, 3] > 0, 1.0, 0.0).half()  # ties
    whole, grown = tmp_path / "whole", tmp_path / "grown"
    for place in (whole, grown):
        write_run(str(place), values, 60, synthetic_output(5))
    manifests, hidden = grown / "dataset=synthetic/run_id=bench/manifests", tmp_path / "hidden"
    shutil.move(manifests, hidden)
    manifests.mkdir()
    expected, levels = {}, []
    for ordinal in range(12):
        shutil.copy(hidden / f"{ordinal:05d}.json", manifests)
        if ordinal in (5, 6, 10):
            levels.append(compact(str(grown)).level_count)
    queries = (
        "select * from stg_ranks order by all",
        "select * exclude (activation_sum) from stg_rank_stats order by all",
        "select * exclude (rank2) from activations order by all",
    )
    with connect(whole) as before, connect(grown) as after:
        for query in queries:
            expected[query] = before.execute(query).fetchall()
            assert after.execute(query).fetchall() == expected[query]
        assert after.execute("select max(rank2) from activations").fetchall() == [(None,)]
    assert levels == [1, 2, 1]  # six shards; one beside them; five no longer beside six
    done = compact(str(grown))
    assert (done.run_count, done.level_count) == (1, 2)
    assert compact(str(grown)).run_count == 0
    assert find_leftovers(Store(grown)) == []
    assert audit_warehouse(Store(grown), deep=True).damages == []
    with connect(grown) as after:
        assert [after.execute(query).fetchall() for query in queries] == [*expected.values()]
        assert after.execute("select is_compacted from runs").fetchall() == [(False,)]
    assert compact(str(grown), whole=True).level_count == 1
    with connect(grown) as after:
        assert [after.execute(query).fetchall() for query in queries] == [*expected.values()]
        assert after.execute("select is_compacted from runs").fetchall() == [(True,)]
