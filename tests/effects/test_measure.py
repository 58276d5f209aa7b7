"""A model whose answers are known in closed form: what setting its neurons does, to rounding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.clip.hooks import Layer, LayerSpec
from pipeline.clip.model import load_clip
from pipeline.clip.replay import Replay
from pipeline.effects.choose import NeuronPlan
from pipeline.effects.cost import measure_cost
from pipeline.effects.measure import Prompts, draw_direction, measure_block

LEVELS = (0.0, 1.0, 2.0, 5.0)
UNITS, WIDTH = 6, 4
SCALE = 20.0


class Linear(nn.Module):
    """Pixels, a linear layer of neurons, a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = nn.Module()
        self.visual.neurons = nn.Linear(3 * 64 * 64, UNITS)
        self.visual.head = nn.Linear(UNITS, WIDTH, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(SCALE).log())

    def encode_image(self, image: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        found = self.visual.head(self.visual.neurons(image.flatten(1)))
        return torch.nn.functional.normalize(found, dim=1) if normalize else found


@pytest.fixture(scope="module")
def world():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Linear().eval().requires_grad_(False)
        images = {n: torch.randn(1, 3, 64, 64) for n in range(7)}
        texts = torch.nn.functional.normalize(torch.randn(5, WIDTH), dim=1)
    clip = replace(load_clip("nano"), model=model)
    spec = LayerSpec("visual.neurons", "output", "max")
    layer = Layer(spec, "visual", "Linear", "flat", UNITS, False)
    return Replay(clip, layer), Prompts(tuple("abcde"), texts), images


NEURONS = (
    NeuronPlan(1, 0.5, "c", "a", (0, 1, 2), (5, 6), 1),
    NeuronPlan(4, 2.0, None, None, (1, 2, 3, 4), (), 0),
)


def expected(world, neuron, level, example, direction=None):
    """Cosines and probabilities, with NumPy."""
    replay, prompts, images = world
    model = replay.clip.model
    x = images[example].flatten().double().numpy()
    h = (
        model.visual.neurons.weight.double().numpy() @ x
        + model.visual.neurons.bias.double().numpy()
    )
    if level is not None and direction is None:
        h[neuron.unit] = level * neuron.peak
    elif level is not None:
        h = h + (level * neuron.peak - h[neuron.unit]) * direction
    e = model.visual.head.weight.double().numpy() @ h
    cosines = prompts.embeddings.double().numpy() @ e / np.linalg.norm(e)
    odds = np.exp(SCALE * cosines)
    return cosines, odds / odds.sum()


@pytest.mark.parametrize("batch_size", [3, 256])
def test_both_tables_are_what_the_formula_says(world, batch_size):
    replay, prompts, images = world
    effects, concepts = measure_block(replay, prompts, NEURONS, LEVELS, images, 7, batch_size)
    assert len(effects) == len(NEURONS) * len(LEVELS)
    assert len(concepts) == len(NEURONS) * len(LEVELS) * 5
    rows = {(row["unit"], row["level"]): row for row in effects.to_pylist()}
    changes = {(r["unit"], r["level"], r["concept"]): r for r in concepts.to_pylist()}
    for neuron in NEURONS:
        direction = draw_direction(f"7/{replay.layer.name}/{neuron.unit}", UNITS).double().numpy()
        for level in LEVELS:
            row = rows[neuron.unit, level]
            assert row["activation"] == pytest.approx(level * neuron.peak)
            assert (row["concept"], row["other_concept"]) == (neuron.concept, neuron.other)
            assert (row["hidden_count"], row["shown_count"]) == (
                len(neuron.hidden),
                len(neuron.shown),
            )
            for column, way in (("cosine_change", None), ("cosine_direction", direction)):
                change = np.mean(
                    [
                        expected(world, neuron, level, i, way)[0]
                        - expected(world, neuron, None, i)[0]
                        for i in neuron.hidden
                    ],
                    axis=0,
                )
                got = [changes[neuron.unit, level, name][column] for name in prompts.names]
                np.testing.assert_allclose(got, change, atol=1e-5)
            if neuron.concept is None:
                told = [
                    v for k, v in row.items() if k.startswith(("hidden_p", "hidden_s", "shown_p"))
                ]
                assert told == [None] * len(told)
                continue
            own, other = prompts.names.index(neuron.concept), prompts.names.index(neuron.other)
            for where, ids in (("hidden", neuron.hidden), ("shown", neuron.shown)):
                plain = np.mean([expected(world, neuron, None, i)[1] for i in ids], axis=0)
                ours = np.mean([expected(world, neuron, level, i)[1] for i in ids], axis=0)
                turned = np.mean(
                    [expected(world, neuron, level, i, direction)[1] for i in ids], axis=0
                )
                got = [row[f"{where}_{name}"] for name in (
                    "plain", "set", "direction", "other_plain", "other_set",
                )]  # fmt: skip
                want = [plain[own], ours[own], turned[own], plain[other], ours[other]]
                np.testing.assert_allclose(got, want, atol=1e-5)
            shown = [
                expected(world, neuron, level, i)[0] - expected(world, neuron, None, i)[0]
                for i in neuron.shown
            ]
            assert row["shown_cosine_change"] == pytest.approx(np.mean(shown, 0)[own], abs=1e-5)


def test_the_same_seed_gives_the_same_and_another_another_direction(world):
    replay, prompts, images = world
    one, again, other = (
        measure_block(replay, prompts, NEURONS, LEVELS, images, seed, 256) for seed in (1, 1, 2)
    )
    assert one[0].equals(again[0]) and one[1].equals(again[1])
    assert one[1]["cosine_change"].equals(other[1]["cosine_change"])
    assert not one[1]["cosine_direction"].equals(other[1]["cosine_direction"])


def test_directions_are_of_length_one_and_uniform():
    drawn = torch.stack([draw_direction(f"0/l/{n}", 3) for n in range(3000)])
    torch.testing.assert_close(drawn.norm(dim=1), torch.ones(3000))
    assert bool((drawn.mean(0).abs() < 5 * (1 / 3 / 3000) ** 0.5).all())


def test_the_cost_is_counted_from_what_is_meant(world):
    replay, _, _ = world
    cost = measure_cost(replay, NEURONS, len(LEVELS), 8)
    assert cost.variant_count == (5 + 4) * 4 * 2
    # both neurons use examples 1 and 2: 16 variants, two batches; five others are used once, in one
    assert cost.image_count == 2 * 2 + 5
    assert cost.passes.flops == 2 * UNITS * WIDTH
    assert cost.passes.image_flops == 2 * 3 * 64 * 64 * UNITS
    assert "2 neurons, 72 variants" in str(cost)
