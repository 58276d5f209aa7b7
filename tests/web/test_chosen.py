"""A list of neurons as text in an address: the same neurons, the same text, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import ConfigError
from pipeline.warehouse.find import Neuron
from pipeline.web.chosen import MAX_CARRIED, MAX_CHOSEN, Chosen

NAMES = st.text(st.sampled_from("abc:;/,-%~ .é"), min_size=1, max_size=6).filter(str.strip)
NEURONS = st.builds(Neuron, NAMES, NAMES, NAMES, st.integers(0, 40))


@given(st.lists(NEURONS, max_size=30), st.randoms())
def test_a_list_is_read_as_it_was_written_whatever_the_order_and_names(neurons, random):
    chosen = Chosen.of(neurons)
    assert set(chosen.neurons) == set(neurons) and len(chosen.neurons) == len(set(neurons))
    assert Chosen.read(chosen.text) == chosen
    shuffled = neurons + neurons
    random.shuffle(shuffled)
    assert Chosen.of(shuffled).text == chosen.text
    one_by_one = ";".join(Chosen((neuron,)).text for neuron in shuffled)
    assert Chosen.read(one_by_one) == chosen, "as a script joins them"


def test_it_is_short_and_readable():
    layer = "visual.layer3.0:output:max"
    neurons = [Neuron("demo", "5b51", layer, unit) for unit in (9, 1, 5, 6, 7, 8, 2)]
    neurons += [Neuron("demo", "5b51", "ln_post:output:cls", 0), Neuron("wit", "77", layer, 3)]
    text = Chosen.of(neurons).text
    assert text == f"demo/5b51/ln_post:output:cls:0;{layer}:1,2,5-9;wit/77/{layer}:3"


@pytest.mark.parametrize(
    "text",
    ["x", "layer:1", "d/r/layer", "d/r/layer:", "d/r/layer:x", "d/r/:1", "d/layer:1", "a/b/c/d:1",
     "d/r/l:-1", "d/r/l:1-", "d/r/l:1,,2", "d/r/l:1;/x:2", "d/r/l:٣", "d/r/l:99999999"],
)  # fmt: skip
def test_what_is_no_list_is_told(text):
    with pytest.raises(ConfigError, match="address says list="):
        Chosen.read(text)


@pytest.mark.parametrize(
    "text", ["d/r/l:0-9999999", f"d/r/l:0-{MAX_CHOSEN}", ";".join(["d/r/l:0-9999999"] * 50)]
)
def test_a_list_that_is_too_long_is_refused_at_once(text):
    with pytest.raises(ConfigError, match="An address holds"):
        Chosen.read(text)
    assert len(Chosen.read(f"d/r/l:0-{MAX_CHOSEN - 1}").neurons) == MAX_CHOSEN


def test_before_and_after_go_in_a_circle():
    chosen = Chosen.read("d/r/l:1,4;m:2", " mine ")
    one, four, two = (Neuron("d", "r", *place) for place in (("l", 1), ("l", 4), ("m", 2)))
    assert chosen.around(one) == (0, two, four) and chosen.around(two) == (2, four, one)
    assert chosen.around(Neuron("d", "r", "l", 2)) is None
    assert chosen.without(four).query == {"list": "d/r/l:1;m:2", "name": "mine"}
    assert Chosen.read("d/r/l:1").around(one) == (0, one, one)


def test_links_carry_a_list_of_a_bounded_length():
    assert Chosen().carried == {}
    assert Chosen.read("d/r/l:1", "x").carried == {"list": "d/r/l:1", "name": "x"}
    long = Chosen.read("d/r/l:" + ",".join(map(str, range(0, 2 * MAX_CARRIED // 4, 2))))
    assert len(long.text) > MAX_CARRIED and long.carried == {}
