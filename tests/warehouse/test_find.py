"""Which run is meant: one, several, or none, and what the message lists."""

from __future__ import annotations

import duckdb
import pytest

from pipeline.base.errors import WarehouseError
from pipeline.warehouse.find import (
    FoundRun,
    Neuron,
    find_layers,
    find_neuron,
    find_run,
    find_runs,
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
