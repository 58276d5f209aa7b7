"""Which run is meant: one, several, or none, and what the message lists."""

from __future__ import annotations

import duckdb
import pytest

from pipeline.base.errors import WarehouseError
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import (
    FoundRun,
    Neuron,
    find_layers,
    find_neuron,
    find_run,
    find_runs,
    spell_out_run,
)


@pytest.fixture
def con():
    connection = duckdb.connect(":memory:")
    connection.execute(
        """
        create table stg_runs as
        select
            unnest(['a', 'a', 'b']) as dataset, unnest(['x', 'y', 'x']) as run_id,
            unnest(['m', 'n', 'm']) as model_id, unnest(['1', '2', '1']) as weights_sha256,
            null as text_activation;
        create table stg_layers as
        select
            dataset, run_id, unnest(['relu:input:max', run_id || ':output:cls']) as layer,
            split_part(layer, ':', 1) as layer_path, 4 as unit_count,
            if(layer_path = 'relu', ['goh2021'], []) as presets
        from stg_runs;
        create table stg_shards as select unnest(['a', 'b', 'empty']) as dataset
        """
    )
    return connection


def test_all_runs_or_those_that_match(con):
    assert [(one.dataset, one.run_id) for one in find_runs(con)] == [
        ("a", "x"),
        ("a", "y"),
        ("b", "x"),
    ]
    assert find_runs(con, layer="y") == [FoundRun("a", "y", "n", "2")]
    assert find_runs(con, run="x", layer="relu:input:max")[1] == FoundRun("b", "x", "m", "1")


def test_the_one_that_is_meant(con):
    assert find_run(con, "b") == find_run(con, "b", "x") == FoundRun("b", "x", "m", "1")
    assert find_run(con, "a", "y").run_id == "y"


def test_none_and_several_are_errors_that_list_what_there_is(con):
    with pytest.raises(WarehouseError, match="no run 'nope' of dataset 'a'") as wrong:
        find_run(con, "a", "nope")
    assert wrong.value.hint.startswith("There are: --dataset a --run x; --dataset a --run y; ")
    with pytest.raises(WarehouseError, match="Several runs") as many:
        find_run(con, "a")
    assert "--dataset a --run x; --dataset a --run y" in many.value.hint


def test_a_layer_has_a_name_a_path_and_presets(con):
    for called in ("relu:input:max", "relu", "goh2021"):
        assert [one.layer for one in find_layers(con, "a", "x", called)] == ["relu:input:max"]
        assert find_neuron(con, called, 3, dataset="b") == Neuron("b", "x", "relu:input:max", 3)
    assert len(find_layers(con)) == 6


def test_what_is_not_there_is_named_and_what_is_there_listed(con):
    for find in (find_layers, find_runs, find_run):
        with pytest.raises(WarehouseError, match="no dataset 'nope'") as wrong:
            find(con, "nope", "x", "relu")
        assert wrong.value.hint == "Datasets: a, b, empty."
        with pytest.raises(WarehouseError, match="no run of dataset 'empty'"):
            find(con, "empty", None, "relu")
        with pytest.raises(WarehouseError, match="No run of 'a' has a layer 'rely'") as wrong:
            find(con, "a", None, "rely")
        assert wrong.value.hint == "Layers: relu:input:max, x:output:cls, y:output:cls."
    with pytest.raises(WarehouseError, match="has no unit -1"):
        find_neuron(con, "relu", -1, "y")
    with pytest.raises(WarehouseError, match="in several places") as many:
        find_neuron(con, "relu", 0, "x")
    assert "--dataset b --run x --layer relu:input:max" in many.value.hint


KNOWN = [("a", "5b51cf8f9efb"), ("a", "5b52"), ("b", "5b51cf8f9efb"), ("b", "5b"), ("a", "named")]


@pytest.mark.parametrize(
    ("called", "dataset", "run"),
    [
        ("5b51", None, "5b51cf8f9efb"),  # of two datasets: which, others ask
        ("5b51cf8f9efb", "a", "5b51cf8f9efb"),
        ("5b", None, "5b"),  # itself a name
        ("5b", "b", "5b"),
        ("n", None, "named"),
        ("n", "b", "n"),
        ("x", None, "x"),
        ("", None, ""),
        (None, None, None),
    ],
)
def test_a_run_is_called_by_a_beginning_that_no_other_has(called, dataset, run):
    assert spell_out_run(called, KNOWN, dataset) == run


def test_a_beginning_of_several_runs_lists_them():
    with pytest.raises(WarehouseError, match="Several runs begin with '5b'") as many:
        spell_out_run("5b", KNOWN, "a")
    assert many.value.hint == (
        "Choose one: --dataset a --run 5b51cf8f9efb; --dataset a --run 5b52."
    )


@pytest.mark.slow
def test_every_command_that_names_a_run_takes_a_beginning(tiny_warehouse, told, tmp_path):
    with connect(tiny_warehouse) as con:
        run = find_run(con)
    short, here = run.run_id[:4], ("--warehouse", tiny_warehouse)
    layer = ("visual.layer3.0", 9)
    assert run.run_id != short
    for command in (
        ("top", *layer), ("like", *layer), ("find", "cat", "--by", "concepts"), ("compact",),
        ("label", "export", *layer, "--out", tmp_path / "sheet"),
    ):  # fmt: skip
        wrong = told(*command, "--run", f"{short}-", *here, code=2)
        assert f"no run '{short}-'" in wrong
        if command[0] != "compact":  # a warehouse that others read
            told(*command, "--run", short, *here)
