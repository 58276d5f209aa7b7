"""What follows a layer, run again: the same as the whole model with other weights, wherever the layer is."""

from __future__ import annotations

import copy

import pytest
import torch
from planting import make_model

from pipeline.base.errors import HookError
from pipeline.clip.hooks import capture_layers, pool
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import Clip, load_clip
from pipeline.clip.replay import Replay, set_units


@pytest.fixture(scope="module")
def vit(tmp_path_factory) -> Clip:
    return load_clip(make_model(tmp_path_factory.mktemp("vit")))


@pytest.fixture(scope="module")
def models(vit) -> dict[str, Clip]:
    return {"nano": load_clip("nano"), "vit": vit}


def start(clip: Clip, spec: str) -> tuple[Replay, torch.Tensor]:
    size = clip.setup.image.size_px
    pixels = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))
    return Replay(clip, resolve_layers(clip, (spec,))[0]), pixels


def variants(replay: Replay, pixels: torch.Tensor, units, values) -> torch.Tensor:
    units, values = torch.tensor(units), torch.tensor(values)
    return replay.embed_variants(
        pixels, len(units), lambda base: set_units(base, replay.layer, units, values)
    )


@torch.inference_mode()
def with_zeroed(clip: Clip, pixels: torch.Tensor, *names: str, axis: int, unit: int):
    """The embedding by a copy of the model with zeros in place of a unit's weights."""
    model = copy.deepcopy(clip.model)
    for name in names:
        model.get_parameter(name).select(axis, unit).zero_()
    return model.encode_image(pixels, normalize=True)[0]


MLP = "visual.transformer.resblocks.0.mlp"
ABLATIONS = [
    ("nano", "visual.layer4.0.conv2", ("visual.layer4.0.conv2.weight",), 0),
    ("nano", "visual.layer4.0.conv3:input", ("visual.layer4.0.conv3.weight",), 1),
    ("nano", "visual.layer1.0.conv1", ("visual.layer1.0.conv1.weight",), 0),
    ("nano", "visual.layer2.0.downsample.0", ("visual.layer2.0.downsample.0.weight",), 0),
    ("vit", f"{MLP}.gelu", (f"{MLP}.c_proj.weight",), 1),
    ("vit", f"{MLP}.c_fc", (f"{MLP}.c_fc.weight", f"{MLP}.c_fc.bias"), 0),
    ("vit", "visual.conv1", ("visual.conv1.weight",), 0),
]  # fmt: skip


@pytest.mark.parametrize(("model", "spec", "names", "axis"), ABLATIONS, ids=lambda v: str(v)[:40])
def test_a_unit_at_zero_is_a_unit_without_weights(models, model, spec, names, axis):
    clip = models[model]
    replay, pixels = start(clip, spec)
    for unit, found in enumerate(variants(replay, pixels, [0, 1], [0.0, 0.0])):
        expected = with_zeroed(clip, pixels, *names, axis=axis, unit=unit)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_several_units_at_once_are_a_model_without_all_of_them(models):
    clip = models["nano"]
    replay, pixels = start(clip, "visual.layer4.0.conv2")
    name = "visual.layer4.0.conv2.weight"
    model = copy.deepcopy(clip.model)
    found = variants(replay, pixels, [[0, 1, 5], [3, 3, 3]], [0.0, 0.0])
    for row, units in enumerate(([0, 1, 5], [3])):
        model.load_state_dict(clip.model.state_dict())
        model.get_parameter(name)[units] = 0
        with torch.inference_mode():
            expected = model.encode_image(pixels, normalize=True)[0]
        torch.testing.assert_close(found[row], expected, atol=1e-5, rtol=1e-4)


def test_before_and_after_the_last_relu_which_works_in_place(models):
    """Above zero the two points agree; what is below zero before it, it takes for zero. Nothing is left behind:
    the image as it is has its embedding afterwards."""
    clip = models["nano"]
    (before, pixels), (after, _) = (
        start(clip, f"visual.layer4.0.act3:{p}") for p in ("input", "output")
    )
    plain = before.embed(pixels)
    units = [3, 3, 700]
    one = variants(before, pixels, units, [1.5, -4.0, 0.25])
    two = variants(after, pixels, units, [1.5, 0.0, 0.25])
    torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(one[0], plain, atol=1e-4)
    assert torch.equal(before.embed(pixels), plain)
    assert not before.is_whole, "only the attention pool runs again"


def test_where_a_shortcut_is_added_in_place_the_whole_tower_runs(models):
    replay, _ = start(models["nano"], "visual.layer4.0.downsample.1")
    assert replay.is_whole


SPECS = [
    *(("nano", f"visual.layer2.0.act3:output:{pooling}") for pooling in ("max", "mean", "center")),
    *(("vit", f"{MLP}.gelu:output:{pooling}") for pooling in ("max", "mean", "cls", "center")),
    ("vit", "visual.ln_post:output:cls"),
]


@pytest.mark.parametrize(("model", "spec"), SPECS)
def test_the_pooled_activation_is_then_exactly_the_value_and_no_other_changes(models, model, spec):
    clip = models[model]
    replay, pixels = start(clip, spec)
    layer = replay.layer
    units, values = torch.tensor([2, 5]), torch.tensor([0.75, -0.25])
    seen = {}

    def change(base):
        seen["set"] = set_units(base, layer, units, values)
        return base

    replay.embed_variants(pixels, 1, change)
    with torch.inference_mode(), capture_layers(clip, (layer,)) as capture:
        clip.model.encode_image(pixels)
        plain = capture.pooled[layer.name][0]
    pooled = pool(seen["set"], layer)
    for row, unit in enumerate(units):
        other = torch.arange(layer.unit_count) != unit
        torch.testing.assert_close(pooled[row, unit], values[row])
        torch.testing.assert_close(pooled[row, other], plain[other])


@pytest.mark.parametrize("spec", ["visual.layer4.0.act3:input", "visual.layer3.0.act1"])
def test_a_direction_changes_every_position_as_much_as_the_neuron(models, spec):
    clip = models["nano"]
    replay, pixels = start(clip, spec)
    units, values = torch.tensor([1, 4]), torch.tensor([0.0, 3.0])
    directions = torch.nn.functional.normalize(torch.randn(2, replay.layer.unit_count), dim=1)
    seen = {}

    def change(base):
        seen["base"] = base.clone()
        seen["set"] = set_units(base, replay.layer, units, values)
        seen["direction"] = set_units(base, replay.layer, units, values, directions)
        return base

    replay.embed_variants(pixels, 1, change)
    one, two = ((seen[name] - seen["base"]).norm(dim=1) for name in ("set", "direction"))
    torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)
    turned = torch.einsum("bchw,bc->bhw", seen["direction"] - seen["base"], directions)
    torch.testing.assert_close(turned.abs(), one, atol=1e-5, rtol=1e-4)


def test_a_text_tower_is_refused_with_a_reason(models):
    clip = models["nano"]
    layer = resolve_layers(clip, ("transformer.resblocks.0.mlp.gelu",))[0]
    with pytest.raises(HookError, match="is of the text tower"):
        Replay(clip, layer)
