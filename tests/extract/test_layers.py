"""Names of layers: presets, specs, closest names, and layers that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.base.errors import HookError
from pipeline.clip.hooks import LayerSpec, capture_layers
from pipeline.clip.layers import PRESETS, list_layers, parse_layer, resolve_layers
from pipeline.clip.model import Clip, load_clip


def test_vit_presets(vit: Clip) -> None:
    (last,) = resolve_layers(vit, ("vit-mlp",))
    assert last.name == "visual.transformer.resblocks.1.mlp.gelu:output:max"
    assert (last.unit_count, last.is_rectified, last.tower) == (256, False, "visual")
    every = [layer.spec.path for layer in resolve_layers(vit, ("vit-mlp-all",))]
    assert every == [f"visual.transformer.resblocks.{n}.mlp.gelu" for n in range(2)]


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_that_find_nothing_say_so(resnet: Clip, vit: Clip, preset: str) -> None:
    clip = vit if preset == "goh2021" else resnet
    with pytest.raises(HookError, match=f"Preset '{preset}'.* finds nothing in") as caught:
        resolve_layers(clip, (preset,))
    assert f"neurons layers {clip.asked_for}" in caught.value.hint


def test_specs() -> None:
    assert parse_layer("a.b") == LayerSpec("a.b", "output", "max")
    assert parse_layer("a.b:input") == LayerSpec("a.b", "input", "max")
    assert parse_layer("a.b:center") == LayerSpec("a.b", "output", "center")
    assert str(parse_layer("a:cls:input")) == "a:input:cls"
    with pytest.raises(HookError, match="'avg' in layer spec 'a:avg' is neither") as caught:
        parse_layer("a:avg")
    assert "[:max|mean|center|cls]" in caught.value.hint


def test_unknown_layer_names_the_closest(resnet: Clip) -> None:
    with pytest.raises(HookError) as caught:
        resolve_layers(resnet, ("visual.layer5",))
    message, hint = str(caught.value).split("\n  ")
    assert message == f"layer 'visual.layer5' is not in {resnet.model_id}."
    assert "'visual.layer4'" in hint and f"neurons layers {resnet.asked_for}" in hint


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ((), "No layer was named"),
        (("",), "layer '' is not in"),
        (("visual.layer4", "visual.layer4:output:max"), "is named twice"),
        (("visual.layer4:cls",), "a feature map has no class token"),
        (("ln_final:center",), "a text has no center"),
        (("visual.attnpool.q_proj",), "is not used when images or texts are encoded"),
    ],
)
def test_layers_that_cannot_be_read(resnet: Clip, specs: tuple[str, ...], message: str) -> None:
    with pytest.raises(HookError, match=message):
        resolve_layers(resnet, specs)


class Odd(nn.Module):
    """A model whose modules are used twice, never, or give what is not one row per example."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = nn.Identity()
        self.visual.image_size = 8
        self.visual.class_embedding = None
        self.text_pool_type, self.text_eos_id = "argmax", 0
        self.twice, self.never, self.row, self.cube = (nn.Identity() for _ in range(4))
        self.last, self.first = nn.Identity(), nn.Identity()

    def encode_image(self, image: torch.Tensor) -> torch.Tensor:
        image = self.twice(self.twice(self.visual(image)))
        self.row(image.mean((1, 2, 3)))
        self.cube(image[:, None])
        self.last(image.permute(0, 2, 3, 1))
        self.first(image.flatten(2).permute(2, 0, 1))
        return image.flatten(1)

    def encode_text(self, text: torch.Tensor) -> torch.Tensor:
        return text


@contextmanager
def odd_clip() -> Iterator[Clip]:
    vit = load_clip("ViT-small:random")
    yield replace(vit, model_id="odd", asked_for="odd", model=Odd())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("twice", "is used 2 times in one pass"),
        ("never", "is not used"),
        ("row", r"holds a tensor of shape \[2\] for 2 examples"),
        ("cube", r"holds a tensor of shape \[2, 1, 3, 48, 48\] for 2 examples"),
    ],
)
def test_unreadable_modules(path: str, message: str) -> None:
    with odd_clip() as clip, pytest.raises(HookError, match=message) as caught:
        resolve_layers(clip, (path,))
    assert "Expected [N, C, H, W], [N, H, W, C], [N, L, D]" in caught.value.hint


@torch.inference_mode()
def test_other_layouts() -> None:
    with odd_clip() as clip:
        layers = resolve_layers(clip, ("last:center", "last:mean", "first:max"))
        assert [layer.layout for layer in layers] == ["channels_last"] * 2 + ["tokens_first"]
        assert [layer.unit_count for layer in layers] == [3, 3, 3]
        image = torch.randn(5, 3, 8, 8)
        with capture_layers(clip, layers) as captured:
            clip.model.encode_image(image)
    assert torch.equal(captured.pooled["last:output:center"], image[:, :, 4, 4])
    torch.testing.assert_close(captured.pooled["last:output:mean"], image.mean((2, 3)))
    assert torch.equal(captured.pooled["first:output:max"], image.amax((2, 3)))


def test_list_layers(resnet: Clip) -> None:
    layers = {layer.spec.path: layer for layer in list_layers(resnet)}
    act3 = layers["visual.layer4.2.act3"]
    assert (act3.kind, act3.unit_count, act3.tower, act3.is_rectified) == (
        "ReLU",
        256,
        "visual",
        True,
    )
    assert layers["visual.conv1"].layout == "channels_first"
    assert not layers["visual.conv1"].is_rectified
    assert layers["visual.avgpool"].is_rectified  # an average of what a ReLU let through
    assert layers["transformer.resblocks.0.mlp.gelu"].unit_count == 64
    assert layers["visual.attnpool"].layout == "flat"
    names: dict[str, Any] = dict(resnet.model.named_modules())
    assert list(layers) == [name for name in names if name in layers]  # in the model's order
    assert {str(layer.spec).split(":", 1)[1] for layer in layers.values()} == {"output:max"}
    for path in layers:
        resolve_layers(resnet, (path,))
        if path.startswith("visual.layer1"):
            break
