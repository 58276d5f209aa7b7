"""Samples that a build draws are those of the view: to the bit, however shards were merged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled_world import KINDS, draw_values, make_world, place_run

from pipeline.base.progress import NoProgress
from pipeline.evidence.samples import SCHEMA, compute_drawn_examples
from pipeline.warehouse.connect import connect
from pipeline.warehouse.views import find_view


def computed(connection, **how):
    tables = list(compute_drawn_examples(connection, NoProgress(), **how))
    assert all(table.schema == SCHEMA for table in tables)
    return [tuple(row.values()) for table in tables for row in table.to_pylist()]


def viewed(connection):
    order = "dataset, run_id, layer, unit, sd_bin, sample_rank"
    return connection.execute(f"from drawn_examples order by {order}").fetchall()


@pytest.mark.slow  # the view asks all samples of a warehouse
def test_they_are_what_the_view_answers(tiny_warehouse):
    """Rectified and signed layers, grids and tokens, a text tower, repeated images."""
    assert [column.name for column in find_view("drawn_examples").columns] == SCHEMA.names
    with connect(tiny_warehouse, use_marts=False) as connection:
        for view in ("neuron_stats", "layer_axes", "top_examples"):  # once
            connection.execute(f"create table once_{view} as from {view}")
            connection.execute(f"create or replace view {view} as from once_{view}")
        expected = viewed(connection)
        assert len(expected) > 2_000
        for rows_at_once in (20_000, 1 << 19):
            assert computed(connection, rows_at_once=rows_at_once) == expected


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    kind=st.sampled_from(sorted(KINDS)),
    dtype=st.sampled_from([np.float16, np.float32]),
    count=st.integers(2, 900),
    shard_count=st.integers(1, 5),
    merged_count=st.integers(0, 4),
    width=st.sampled_from([1.0, 0.3, 2.0]),
    offset=st.sampled_from([0.0, -3.1]),
    top_k=st.sampled_from([1, 10, 1000]),
    axis=st.sampled_from(["sd", "z"]),
)
def test_they_are_what_the_view_answers_of_shards_and_merges(
    seed, kind, dtype, count, shard_count, merged_count, width, offset, top_k, axis
):
    rng = np.random.default_rng(seed)
    values = draw_values(rng, kind, (3, count), dtype)
    values[1, :] = values[1, 0]  # a constant neuron has no bins
    shards = np.sort(rng.integers(0, shard_count, count))
    ids = (shards.astype(np.int64) << 20) + np.arange(count)
    world = make_world(axis, sd_bin_width=width, sd_bin_offset=offset)
    world.add("stg_layers", "unit_count tower is_cut", (3, "visual", False))
    place_run(world, values, ids, shards, rng.random(count) < 0.1, top_k, kind == "rectified")
    if merged_count:
        merge(world.con, merged_count)
    assert computed(world.con, rows_at_once=count) == viewed(world.con)


def merge(connection, count):
    """Replace the first shards by what a merge keeps of them."""
    connection.execute("create or replace temp table shards as from raw_shard_samples")
    connection.execute(f"delete from raw_shard_samples where shard_ordinal >= {count}")
    connection.execute(
        """
        create or replace temp table merged as
        select
            dataset, run_id, layer, unit, 0 as shard_ordinal, bin, is_lowest,
            image_count as bin_example_count, example_id, activation, peak,
        from stg_samples
        """
    )
    connection.execute("insert into raw_merged_samples by name from merged")
    connection.execute("delete from raw_shard_samples")
    connection.execute(f"insert into raw_shard_samples from shards where shard_ordinal >= {count}")


def test_a_run_without_samples_still_shows_its_tails():
    world = make_world()
    world.add("stg_layers", "unit_count tower is_cut", (2, "visual", False))
    world.add("stg_runs", "top_k", 2)
    world.add("neuron_stats", "unit mean sd min max", (0, 0.0, 1.0, -5.0, 5.0))
    tops = [("positive", 1, 7, 4.5), ("positive", 2, 8, 3.5), ("negative", 1, 9, -2.5)]
    world.add("top_examples", "polarity example_rank example_id activation", *tops, unit=0)
    found = computed(world.con)
    assert found == viewed(world.con)
    assert [row[8:10] for row in found] == [(-3, 9), (4, 7)]
