"""By what activations are measured: from zero where that is where a layer rests, else from the mean."""

from __future__ import annotations

import pytest
from sql_world import empty_world

from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import Neuron
from pipeline.warehouse.layer_axes import AXES, read_axis, say_strength


def open_layers(*layers):
    """Layers (name, is_rectified, [(mean, sd), ...]) and the views over them."""
    world = empty_world(("layer_axes", "example_top_neurons"), threads=1)
    for name, is_rectified, neurons in layers:
        world.add("stg_layers", "layer is_rectified", (name, is_rectified))
        units = [(unit, *moments) for unit, moments in enumerate(neurons)]
        world.add("neuron_stats", "unit mean sd", *units, layer=name)
    return world


@pytest.mark.parametrize(
    ("is_rectified", "neurons", "axis"),
    [
        (True, [(-0.5, 1.0), (0.1, 1.0), (9.0, 1.0)], "sd"),  # the inputs of a ReLU
        (True, [(4.5, 1.0), (4.8, 1.0), (0.0, 1.0)], "z"),  # the maximum over a large map
        (True, [(-2.0, 1.0)], "sd"),
        (True, [(2.1, 1.0), (5.0, 0.0)], "z"),  # a constant neuron has no say
        (False, [(0.0, 1.0)], "z"),
        (False, [(2.73, 0.051)], "z"),
    ],
)
def test_the_axis_follows_from_what_the_layer_is_and_where_it_rests(is_rectified, neurons, axis):
    world = open_layers(("l", is_rectified, neurons))
    assert world.rows("select axis from layer_axes") == [(axis,)]


def test_a_layer_of_constant_neurons_has_none():
    world = open_layers(("l", True, [(1.0, 0.0)]))
    assert world.rows("from layer_axes") == []
    assert read_axis(world.con, Neuron("d", "r", "l", 0)) == "sd"


def test_neurons_of_an_image_are_ranked_each_on_its_own_axis():
    """From zero, a neuron that is always near 2.73 would win every image."""
    world = open_layers(("relu", True, [(0.0, 1.0)]), ("text", False, [(2.73, 0.05), (0.0, 1.0)]))
    answers = [("relu", 0, 3.0), ("text", 0, 2.78), ("text", 1, -1.0)]
    world.add("activations", "layer unit activation", *answers, example_id=7)
    rows = world.rows(
        "select layer, unit, axis, round(activation_sd, 2), round(activation_z, 2) "
        "from example_top_neurons where example_id = 7 order by neuron_rank"
    )
    assert rows == [
        ("relu", 0, "sd", 3.0, 3.0),
        ("text", 0, "z", 55.6, 1.0),
        ("text", 1, "z", -1.0, -1.0),
    ]


def test_bins_and_both_measures_of_a_run_agree(tiny_warehouse):
    with connect(tiny_warehouse) as con:
        axes = dict(con.execute("select layer, axis from layer_axes").fetchall())
        assert {axis for layer, axis in axes.items() if layer.startswith("transformer")} == {"z"}
        wrong = con.execute(
            """
            select count(*) from neuron_samples
            inner join neuron_stats using (dataset, run_id, layer, unit)
            inner join layer_axes using (dataset, run_id, layer)
            where
                neuron_samples.axis <> layer_axes.axis
                or abs(activation_sd * sd - activation) > 1e-4 * (1 + abs(activation))
                or abs(activation_z * sd + mean - activation) > 1e-4 * (1 + abs(activation))
                or not if(neuron_samples.axis = 'z', activation_z, activation_sd)
                between bin_left_sd - 1e-6 and bin_right_sd + 1e-6
            """
        ).fetchall()
        assert wrong == [(0,)]
        apart = con.execute(
            "select max(abs(activation_z - (activation_sd - mean / sd))) from top_examples "
            "inner join neuron_stats using (dataset, run_id, layer, unit) where sd > 0"
        ).fetchall()
    assert apart[0][0] < 1e-4


def test_words_for_each_axis():
    assert [say_strength(2.25, axis) for axis in AXES] == ["2.2 SD", "z 2.2"]
    assert say_strength(None, "z") == ""
