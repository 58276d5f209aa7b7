"""What a facet probe is, on channels whose facet is known."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.base.errors import HookError
from pipeline.clip.model import load_clip
from pipeline.visualise.facet_probes import fit_facet_probe
from pipeline.visualise.lower_layer import choose_probe_layer

rng = np.random.default_rng(0)
SHOWN = np.arange(400) % 5 == 0
HELD_OUT = np.arange(400) % 4 == 0
MEANS = rng.normal(size=(400, 6)).astype(np.float32) * [1, 3, 0.01, 1, 1, 0] + 2
MEANS = (MEANS + np.outer(SHOWN, [0, 9, 0, 0, 0, 0])).astype(np.float32)
"""The second channel tells the facet, the last one is constant."""


def fit(means=MEANS, shown=SHOWN):
    return fit_facet_probe("word", "visual.layer3:output:mean", means, shown, HELD_OUT)


def test_the_channel_that_tells_has_the_weight_and_a_constant_one_has_none():
    probe = fit()
    spread = probe.weight * MEANS.std(0)
    assert int(abs(spread).argmax()) == 1
    assert probe.weight[1] > 0
    assert probe.weight[5] == 0
    assert probe.weight.dtype == np.float32
    assert probe.accuracy > 0.9


def test_probability_and_accuracy_are_what_they_are_called():
    probe = fit()
    odds = MEANS.astype(np.float64) @ probe.weight + probe.bias
    expected = 1 / (1 + np.exp(-odds))
    np.testing.assert_allclose(probe.probability(MEANS), expected, atol=1e-6)
    right = (expected > 0.5) == SHOWN
    shares = [right[HELD_OUT & (shown == SHOWN)].mean() for shown in (True, False)]
    assert probe.accuracy == pytest.approx(np.mean(shares))


def test_units_of_a_channel_do_not_matter():
    scale = np.array([1, 100, 1e-3, 1, 1, 1], np.float32)
    plain, scaled = fit(), fit(MEANS * scale)
    np.testing.assert_allclose(scaled.weight * scale, plain.weight, rtol=1e-3, atol=1e-4)


def test_a_facet_that_nothing_tells_is_near_chance():
    shuffled = np.random.default_rng(1).permutation(SHOWN)
    assert fit(shown=shuffled).accuracy < 0.7


@pytest.mark.parametrize(
    ("layer", "asked", "expected"),
    [
        ("visual.layer4.0.act3:input:max", "", "visual.layer3:output:mean"),
        ("visual.layer3.0:output:max", "", "visual.layer2:output:mean"),
        ("visual.layer4.0.act3:input:max", "visual.layer1:output:max", "visual.layer1:output:mean"),
    ],
)
def test_the_lower_layer_is_three_quarters_of_the_way(layer, asked, expected):
    assert choose_probe_layer(load_clip("nano"), layer, asked).name == expected


@pytest.mark.parametrize(
    ("layer", "asked", "said"),
    [
        ("visual.layer1.0:output:max", "", "--probe-layer"),
        ("visual.conv1:output:max", "", "--probe-layer"),
        ("visual.layer4.0.act3:input:max", "visual.attnpool", "no channels over positions"),
        ("visual.layer4.0.act3:input:max", "transformer.resblocks.0", "no channels over positions"),
        ("visual.layer4.0.act3:input:max", "visual.layer9", "not in"),
    ],
)
def test_where_none_can_be_read_it_is_said_what_to_name(layer, asked, said):
    with pytest.raises(HookError, match=said):
        choose_probe_layer(load_clip("nano"), layer, asked)
