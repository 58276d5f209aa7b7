"""Peaks that cannot be: outside of the grid, of the tokens, or of a layer that keeps none."""

from __future__ import annotations

import pytest
from sql_world import empty_world

LAYERS = "layer pooling grid_rows grid_columns token_count prefix_tokens"
TOP = "layer unit shard_ordinal polarity example_rank example_id peak"


@pytest.fixture
def world():
    world = empty_world(("check_peaks",))
    world.add(
        "stg_layers",
        LAYERS,
        ("map", "max", 9, 8, None, 0),
        ("patches", "max", 7, 7, 50, 1),
        ("text", "max", None, None, 77, 0),
        ("vector", "max", None, None, None, 0),
        ("mean", "mean", 9, 8, None, 0),
    )
    return world


def found(world):
    columns = (
        "layer, unit, shard_ordinal, kept_as, place_count, outside_count, least_peak, greatest_peak"
    )
    return world.rows(f"select {columns} from check_peaks order by all")


@pytest.mark.parametrize(
    ("layer", "inside", "outside"),
    [
        ("map", (0, 71, None), (-1, 72)),
        ("patches", (0, 49, None), (-2, 50)),
        ("text", (0, 76, None), (-1, 77)),
        ("vector", (None,), (0, 1)),
        ("mean", (None,), (0, 3)),
    ],
)
def test_each_place_of_a_layer_and_no_other(world, layer, inside, outside):
    places = {"map": 72, "patches": 50, "text": 77, "vector": 0, "mean": 0}[layer]
    world.add(
        "raw_shard_top", TOP, *((layer, 3, 1, "positive", 1, n, p) for n, p in enumerate(inside))
    )
    assert found(world) == []
    world.add(
        "raw_shard_top", TOP, *((layer, 3, 1, "negative", 1, n, p) for n, p in enumerate(outside))
    )
    assert found(world) == [(layer, 3, 1, "top", places, 2, *outside)]


@pytest.mark.parametrize("table", ["raw_shard_samples", "raw_merged_samples"])
def test_of_samples_too_merged_or_not(world, table):
    names = "layer unit shard_ordinal bin example_id peak"
    world.add(
        table, names, ("map", 0, 2, 5, 7, 71), ("map", 0, 2, 5, 8, 100), ("map", 1, 2, 5, 8, 72)
    )
    assert found(world) == [
        ("map", 0, 2, "sample", 72, 1, 100, 100), ("map", 1, 2, "sample", 72, 1, 72, 72),
    ]  # fmt: skip
