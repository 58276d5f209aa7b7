"""A model whose neurons are its classes: what is left of an image without some of them, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from pipeline.clip.hooks import Layer, LayerSpec
from pipeline.clip.model import load_clip
from pipeline.clip.replay import Replay
from pipeline.effects.attacks import AttackPlan
from pipeline.effects.flips import (
    Ablation,
    Classes,
    list_ablations,
    measure_attack,
    predict_without,
)

NAMES = ("cat", "dog", "iPod")


class Seen(nn.Module):
    """Neuron n is pixel n, and the embedding is the neurons."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = nn.Module()
        self.visual.neurons = nn.Linear(3 * 64 * 64, 3, bias=False)
        self.visual.neurons.weight = nn.Parameter(torch.eye(3, 3 * 64 * 64))
        self.logit_scale = nn.Parameter(torch.tensor(1.0))

    def encode_image(self, image: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        found = self.visual.neurons(image.flatten(1))
        return torch.nn.functional.normalize(found, dim=1) if normalize else found


def image(cat: float, dog: float, ipod: float) -> torch.Tensor:
    pixels = torch.zeros(1, 3, 64, 64)
    pixels.view(-1)[:3] = torch.tensor([cat, dog, ipod])
    return pixels


@pytest.fixture(scope="module")
def world():
    clip = replace(load_clip("nano"), model=Seen().eval().requires_grad_(False))
    layer = Layer(
        LayerSpec("visual.neurons", "output", "max"), "visual", "Linear", "flat", 3, False
    )
    return Replay(clip, layer), Classes(NAMES, torch.eye(3))


@pytest.mark.parametrize("batch_size", [1, 2, 256])
def test_an_image_is_what_is_left_of_it(world, batch_size):
    sets = [(2,), (0,), (2, 0), (1, 2, 0), (0, 2)]
    found = predict_without(*world, image(2, 1, 5), sets, batch_size)
    # without any neuron all classes are alike, and the first by name is taken
    assert found == ["iPod", "cat", "iPod", "dog", "cat", "dog"]


def test_rows_of_an_attack(world):
    images = {7: image(2, 1, 5), 9: image(3, 1, 2), 4: image(1, 4, 6)}
    plan = AttackPlan("iPod", "iPod", "centre", 11, (2, 1, 0), ((7, "cat"), (4, "dog")), (9,))
    tried = [Ablation(1, 0, (2,)), Ablation(1, 1, (0,)), Ablation(2, 0, (2, 1))]
    rows = measure_attack(*world, plan, tried, images, 256).to_pylist()
    got = [
        (r["neuron_count"], r["draw"], r["units"], r["example_id"], r["is_attacked"], r["wanted_class"],
         r["plain_class"], r["predicted_class"])
        for r in rows
    ]  # fmt: skip
    assert got == [
        (1, 0, "2", 4, True, "dog", "iPod", "dog"),
        (1, 0, "2", 7, True, "cat", "iPod", "cat"),
        (1, 0, "2", 9, False, "cat", "cat", "cat"),
        (1, 1, "0", 4, True, "dog", "iPod", "iPod"),
        (1, 1, "0", 7, True, "cat", "iPod", "iPod"),
        (1, 1, "0", 9, False, "cat", "cat", "iPod"),
        (2, 0, "2,1", 4, True, "dog", "iPod", "cat"),
        (2, 0, "2,1", 7, True, "cat", "iPod", "cat"),
        (2, 0, "2,1", 9, False, "cat", "cat", "cat"),
    ]
    assert {
        (r["attack_text"], r["target_class"], r["placement"], r["chosen_count"]) for r in rows
    } == {("iPod", "iPod", "centre", 11)}


def test_draws_are_of_the_whole_layer_nested_and_follow_from_the_key():
    plan = AttackPlan("iPod", "iPod", "centre", 1, tuple(range(40, 50)), (), ())
    one, again, other = (list_ablations(plan, (5, 1, 10, 11), 3, key, 60) for key in "aab")
    assert one == again != other
    assert [(a.size, a.draw) for a in one] == [(c, d) for c in (1, 5, 10) for d in range(4)]
    by_place = {(a.size, a.draw): a.units for a in one}
    for (count, draw), units in by_place.items():
        assert len(set(units)) == count
        assert units == by_place[10, draw][:count]
        assert set(units) <= set(range(60))
    assert by_place[10, 0] == plan.units
    many = list_ablations(plan, (1,), 600, "a", 60)
    assert {a.units[0] for a in many if a.draw} == set(range(60))
