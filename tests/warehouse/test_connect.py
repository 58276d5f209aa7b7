"""The door to the data: SQL equals NumPy, and what is damaged or absent is told."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest
from making import write_tar
from textures import POST, PRE, make_warehouse, read_matrix, write_textures

from pipeline.base.errors import StorageError, WarehouseError
from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest
from pipeline.upkeep.check import check, run_violations
from pipeline.upkeep.repair import repair
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_neuron, find_run
from pipeline.warehouse.left_out import list_left_out


@pytest.mark.parametrize("layer", [PRE, POST])
@pytest.mark.parametrize("use_marts", [True, False])
def test_top_examples_equal_a_full_sort_of_the_activations(tiny_warehouse, layer, use_marts):
    with connect(tiny_warehouse, use_marts=use_marts) as connection:
        dense, ids = read_matrix(connection, layer)
        first = np.array([i for (i,) in connection.execute(
            "select example_id from examples where duplicate_of is null order by example_id"
        ).fetchall()])  # fmt: skip
        rows = connection.execute(
            """
            select unit, polarity, example_rank, example_id, activation
            from top_examples where layer = $layer order by all
            """,
            {"layer": layer},
        ).fetchall()
    keep = np.isin(ids, first)
    assert 0 < keep.sum() < len(ids)
    polarities = {"positive": 1, "negative": -1} if layer == POST else {"positive": 1}
    got = {}
    for unit, polarity, rank, example_id, value in rows:
        got.setdefault((unit, polarity), []).append((rank, example_id, value))
    for unit in range(len(dense)):
        for polarity, sign in polarities.items():
            values, candidates = dense[unit, keep], ids[keep]
            order = np.lexsort((candidates, -sign * values))[:10]
            if layer == PRE:
                order = [n for n in order if values[n] > 0]
            expected = [(r, candidates[n], values[n]) for r, n in enumerate(order, 1)]
            assert got.get((unit, polarity), []) == expected


@pytest.mark.parametrize("layer", [PRE, POST])
def test_statistics_equal_numpy(tiny_warehouse, layer):
    with connect(tiny_warehouse) as connection:
        dense, ids = read_matrix(connection, layer)
        rows = connection.execute(
            """
            select unit, example_count, duplicate_count, mean, sd, min, max, active_frac,
                quantile_50, quantile_95
            from neuron_stats where layer = $layer order by unit
            """,
            {"layer": layer},
        ).fetchall()
        (repeats,) = connection.execute(
            "select count(*) from examples where duplicate_of is not null"
        ).fetchall()[0]
    assert len(rows) == len(dense)
    for unit, count, duplicates, mean, sd, low, high, active, q50, q95 in rows:
        values = dense[unit]
        assert (count, duplicates) == (len(ids), repeats)
        assert active == pytest.approx((values > 0).mean())
        if layer == POST:  # only there is every value stored
            assert mean == pytest.approx(values.mean(), rel=1e-9, abs=1e-12)
            assert sd == pytest.approx(values.std(), rel=1e-6, abs=1e-9)
            assert (low, high) == (values.min(), values.max())
            for q, level in ((q50, 0.5), (q95, 0.95)):
                exact = np.quantile(values, level, method="inverted_cdf")
                assert abs(q - exact) <= 0.25 * max(abs(q), abs(exact)) + 2**-14
        else:
            assert max(high, 0) == values.max()


def test_histograms_hold_every_example_once(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        dense, ids = read_matrix(connection, POST)
        totals = connection.execute(
            "select layer, unit, sum(example_count) from neuron_histograms group by all"
        ).fetchall()
        assert {total for *_, total in totals} == {len(ids)}
        for unit, left, right, count in connection.execute(
            """
            select unit, bin_left, bin_right, example_count from neuron_histograms
            where layer = $layer and bin > 0
            """,
            {"layer": POST},
        ).fetchall():
            assert count == ((dense[unit] >= left) & (dense[unit] < right)).sum()


def test_example_top_neurons_turn_the_question_round(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        (example,) = connection.execute("select max(example_id) from examples").fetchall()[0]
        rows = connection.execute(
            "select neuron_rank, layer, unit, if(axis = 'z', activation_z, activation_sd) "
            "from example_top_neurons where example_id = $id order by neuron_rank",
            {"id": example},
        ).fetchall()
        all_sd = connection.execute(
            """
            select (activation - if(axis = 'z', mean, 0)) / sd from activations
            inner join neuron_stats using (dataset, run_id, layer, unit)
            inner join layer_axes using (dataset, run_id, layer)
            where example_id = $id and sd > 0 order by 1 desc limit 20
            """,
            {"id": example},
        ).fetchall()
    assert [rank for rank, *_ in rows] == list(range(1, 21))
    assert [sd for *_, sd in rows] == pytest.approx([sd for (sd,) in all_sd])


def test_embeddings_have_length_one(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        lengths = connection.execute(
            "select list_inner_product(embedding, embedding) from image_embeddings"
        ).fetchall()
    assert np.array(lengths) == pytest.approx(1, abs=2e-3)


def test_halves_belong_to_images(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        rows = connection.execute(
            "select image_sha256, count(distinct half) from examples group by all"
        ).fetchall()
        assert {halves for _, halves in rows} == {1}
        sizes = connection.execute("select half, count(*) from examples group by all").fetchall()
    assert {half for half, _ in sizes} == {"screening", "testing"}
    assert min(count for _, count in sizes) > 0.3 * sum(count for _, count in sizes)


def test_a_damaged_file_is_named_and_can_be_made_again(tmp_path):
    place = make_warehouse(tmp_path, ("visual.layer3.0",))
    with connect(place) as connection:
        before = connection.execute("select sum(activation) from activations").fetchall()
    path = sorted(place.glob("dataset=*/run_id=*/activations/*/00001.parquet"))[0]
    path.write_bytes(path.read_bytes()[:-100])
    files, *_ = check(place)
    assert files.name == "check_files"
    assert files.violation_count == 1
    assert str(files.rows[0][0]).endswith("00001.parquet")
    assert "neurons repair" in str(files.rows[0])
    assert not repair(place).left
    with connect(place) as connection:
        after = connection.execute("select sum(activation) from activations").fetchall()
    assert after == before


def test_opening_a_damaged_warehouse_says_what_to_do(tmp_path):
    place = make_warehouse(tmp_path, ("visual.layer3.0",))
    for path in place.glob("dataset=*/run_id=*/activations/*/*.parquet"):
        path.write_bytes(b"PAR1 but not really")
    with connect(place) as connection:
        (one,) = list_left_out(connection)
        assert "neurons repair --warehouse" in one.told
        with pytest.raises(WarehouseError, match="is damaged"):
            find_run(connection)


def test_nothing_there(tmp_path):
    with pytest.raises(WarehouseError, match="no dataset in"):
        connect(tmp_path)


def test_a_manifest_that_is_not_json_is_named(tmp_path):
    tars = write_textures(tmp_path / "tars", 1, 5)
    place = tmp_path / "warehouse"
    ingest(IngestConfig(str(place), "textures"), IngestStep("webdataset", (str(tars),)))
    (place / "dataset=textures/manifests/00000.json").write_text("{")
    with pytest.raises(StorageError, match=r"00000\.json is not valid JSON"):
        connect(place)


def test_the_connection_cannot_be_tricked_by_a_name(tiny_warehouse):

    with connect(tiny_warehouse) as connection:
        with pytest.raises(WarehouseError, match="has a layer"):
            find_neuron(connection, "x'; drop view examples; --", 0)
        assert connection.execute("select count(*) from examples").fetchall() == [(120,)]


@pytest.mark.slow
def test_two_datasets_and_two_runs_stay_apart(tmp_path):
    place = make_warehouse(tmp_path, ("visual.layer3.0",))
    other = write_tar(tmp_path / "other/00000.tar", _few_samples())
    ingest(IngestConfig(str(place), "other"), IngestStep("webdataset", (str(other),)))
    extract(
        ExtractConfig(str(place), "other", "RN-demo:random", ("visual.layer3.0",), device="cpu")
    )
    with connect(place) as connection:
        counts = dict(connection.execute(
            "select dataset, max(example_count) from neuron_stats group by all"
        ).fetchall())  # fmt: skip
        assert counts == {"textures": 120, "other": 6}
        with pytest.raises(duckdb.BinderException):
            connection.execute("select nothing from examples")
    assert run_violations(check(place)) == 0


def _few_samples():
    from making import make_record
    from textures import make_texture

    return [
        {"__key__": f"{n}", "jpg": make_texture(500 + n), "json": make_record(f"a cat {n}")}
        for n in range(6)
    ]
