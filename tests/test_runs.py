"""Which run is meant: one, several, or none, and what the message lists."""

from __future__ import annotations

import duckdb
import pytest

from pipeline.errors import WarehouseError
from pipeline.runs import FoundRun, find_run, find_runs


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
            split_part(layer, ':', 1) as layer_path
        from stg_runs
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
    with pytest.raises(WarehouseError, match="no run with dataset 'a', run 'nope'") as wrong:
        find_run(con, "a", "nope")
    assert "--dataset a --run y --layer relu:input:max" in wrong.value.hint
    with pytest.raises(WarehouseError, match="Several runs") as many:
        find_run(con, "a")
    assert "--dataset a --run x; --dataset a --run y" in many.value.hint
