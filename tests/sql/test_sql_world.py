"""Each view stands on the headers of what it reads, and on nothing else."""

from __future__ import annotations

from sql_world import SqlWorld, empty_world

from pipeline.warehouse.views import load_views


def test_a_view_needs_no_more_than_the_headers_of_what_it_reads():
    """That it reads nothing else is the contract of its header (tests/test_contracts.py)."""
    read = {name for view in load_views() for name in view.reads} - {"settings"}
    world = SqlWorld((), tables=sorted(read), threads=1)
    for view in load_views():
        found = world.con.execute(f"from ({view.body}) limit 0").description
        assert [column[0] for column in found] == [column.name for column in view.columns]


def test_rows_are_given_by_name_and_the_rest_is_by_default():
    world = SqlWorld(["label_candidates"], tables=["stg_run_examples"], label_top_k=7)
    world.insert("stg_run_examples", [{"example_id": 1}, {"example_id": 2, "is_duplicate": True}])
    world.insert("stg_run_examples", [{"example_id": 3}], run_id="s")
    query = "select dataset, run_id, example_id, is_duplicate from stg_run_examples order by 3"
    assert world.rows(query)[::2] == [("d", "r", 1, False), ("d", "s", 3, False)]
    assert world.rows("select label_top_k, label_max_q from settings") == [(7, 0.05)]


def test_a_world_that_is_asked_for_again_is_empty_and_has_its_own_settings():
    world = empty_world(("stg_distinct_images",), label_top_k=7)
    world.add("stg_run_examples", "example_id is_duplicate", (1, False), (2, True))
    world.add("stg_run_examples", "example_id", 3, run_id="s")
    found = "select run_id, example_id from stg_distinct_images order by all"
    assert world.rows(found) == [("r", 1), ("s", 3)]
    again = empty_world(("stg_distinct_images",))
    assert again.rows(found) == []
    assert again.rows("select label_top_k from settings") == [(50,)]
