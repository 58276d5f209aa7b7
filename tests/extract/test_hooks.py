from __future__ import annotations

import pytest
import torch
from torch import nn

from pipeline.base.errors import HookError
from pipeline.clip.hooks import Layer, capture_layers, end_positions
from pipeline.clip.layers import list_layers, resolve_layers
from pipeline.clip.model import Clip, load_clip

TEXTS = ["a cat", "a much longer text about nothing at all", "12", ""]


def pixels(clip: Clip, count: int = 4) -> torch.Tensor:
    size = clip.model.visual.image_size
    height, width = size if isinstance(size, tuple) else (size, size)
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(3))


@torch.inference_mode()
def capture(clip: Clip, *specs: str) -> tuple[list[Layer], dict[str, torch.Tensor]]:
    """Pooled activations of noise images and ``TEXTS``."""
    layers = resolve_layers(clip, specs)
    with capture_layers(clip, layers) as captured:
        clip.model.encode_image(pixels(clip))
        tokens = clip.tokenizer(TEXTS)
        captured.ends = end_positions(clip, tokens)
        clip.model.encode_text(tokens)
    return list(layers), captured.pooled


@torch.inference_mode()
def plain_hook(clip: Clip, path: str, point: str) -> torch.Tensor:
    """What passes a module, copied at that moment by a hook of torch's own."""
    seen = []
    module = clip.model.get_submodule(path)
    if point == "input":
        handle = module.register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
    else:
        handle = module.register_forward_hook(lambda _, __, out: seen.append(out.clone()))
    clip.model.encode_image(pixels(clip))
    clip.model.encode_text(clip.tokenizer(TEXTS))
    handle.remove()
    (tensor,) = seen
    return tensor


def hook_count(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.mark.parametrize("point", ["input", "output"])
@pytest.mark.parametrize("path", ["visual.layer4.1.act3", "visual.layer2", "visual.layer1.0.conv2"])
def test_feature_maps(resnet: Clip, path: str, point: str) -> None:
    specs = [f"{path}:{point}:{pooling}" for pooling in ("max", "mean", "center")]
    layers, pooled = capture(resnet, *specs)
    plain = plain_hook(resnet, path, point)
    height, width = plain.shape[2:]
    assert height == width and {layer.unit_count for layer in layers} == {plain.shape[1]}
    assert torch.equal(pooled[specs[0]], plain.flatten(2).max(2).values)
    torch.testing.assert_close(pooled[specs[1]], plain.flatten(2).sum(2) / (height * width))
    assert torch.equal(pooled[specs[2]], plain[:, :, height // 2, width // 2])


@pytest.mark.parametrize("point", ["input", "output"])
@pytest.mark.parametrize(
    "path",
    ["visual.transformer.resblocks.1.mlp.gelu", "visual.transformer.resblocks.0", "visual.ln_pre"],
)
def test_visual_tokens(vit: Clip, path: str, point: str) -> None:
    specs = [f"{path}:{point}:{pooling}" for pooling in ("max", "mean", "center", "cls")]
    layers, pooled = capture(vit, *specs)
    plain = plain_hook(vit, path, point)
    assert plain.shape[1] == 1 + 3 * 3  # the class token and a grid of patches
    assert [layer.prefix_tokens for layer in layers] == [1] * 4
    assert torch.equal(pooled[specs[0]], plain.max(1).values)
    torch.testing.assert_close(pooled[specs[1]], plain.sum(1) / 10)
    assert torch.equal(pooled[specs[2]], plain[:, 1 + 4])
    assert torch.equal(pooled[specs[3]], plain[:, 0])


@pytest.mark.parametrize("arch", ["ViT-small", "ViT-small-eos"])
@pytest.mark.parametrize("module", ["transformer.resblocks.0.mlp.gelu", "ln_final"])
def test_text_tokens_end_where_the_text_ends(arch: str, module: str) -> None:
    clip = load_clip(f"{arch}:random")
    path = f"text.{module}" if hasattr(clip.model, "text") else module
    specs = [f"{path}:{pooling}" for pooling in ("max", "mean", "cls")]
    layers, pooled = capture(clip, *specs)
    plain = plain_hook(clip, path, "output")
    tokens = clip.tokenizer(TEXTS).tolist()
    assert {layer.tower for layer in layers} == {"text"}
    names = [layer.name for layer in layers]
    for n, row in enumerate(tokens):
        end = row.index(49407)
        assert end < 15  # padding follows, and counts for nothing
        real = plain[n, : end + 1]
        assert torch.equal(pooled[names[0]][n], real.max(0).values)
        torch.testing.assert_close(pooled[names[1]][n], real.mean(0))
        assert torch.equal(pooled[names[2]][n], real[-1])


def test_text_tower_without_end_token_counts_every_position() -> None:
    clip = load_clip("ViT-small-last:random")
    _, pooled = capture(clip, "text.ln_final:max")
    plain = plain_hook(clip, "text.ln_final", "output")
    assert torch.equal(pooled["text.ln_final:output:max"], plain.max(1).values)
    with pytest.raises(HookError, match="pools by 'last' and has no end token"):
        resolve_layers(clip, ("text.ln_final:cls",))


def test_flat_layers_are_taken_as_they_are(resnet: Clip) -> None:
    _, pooled = capture(resnet, "visual.attnpool", "visual:mean")
    plain = plain_hook(resnet, "visual.attnpool", "output")
    assert torch.equal(pooled["visual.attnpool:output:max"], plain)
    assert torch.equal(pooled["visual:output:mean"], plain)


@torch.inference_mode()
def test_goh2021_is_the_sum_before_the_last_relu(resnet: Clip) -> None:
    (layer,), pooled = capture(resnet, "goh2021")
    assert layer.name == "visual.layer4.2.act3:input:max"  # the last of three blocks
    assert layer.is_rectified and layer.kind == "ReLU" and layer.unit_count == 8 * 32
    identity = plain_hook(resnet, "visual.layer4.1", "output")  # no downsampling within a stage
    total = plain_hook(resnet, "visual.layer4.2.bn3", "output") + identity
    assert torch.equal(pooled[layer.name], total.amax((2, 3)))
    assert (pooled[layer.name] < 0).float().mean() > 0.01
    after = plain_hook(resnet, "visual.layer4.2", "output").amax((2, 3))
    assert torch.equal(after, pooled[layer.name].relu()) and not (after < 0).any()


def test_relu_in_place_corrupts_nothing(resnet: Clip) -> None:
    """The ReLU overwrites what it was given: the same memory is input, output and the block's."""
    assert resnet.model.visual.layer4[2].act3.inplace
    specs = [
        f"visual.layer4.2.act3:{p}:{q}" for p in ("input", "output") for q in ("max", "center")
    ]
    _, pooled = capture(resnet, *specs, "visual.layer4.2:mean", "visual.layer4.2.act3:input:mean")
    for spec in specs[:2]:
        assert (pooled[spec] < 0).any()
        assert torch.equal(pooled[spec].relu(), pooled[spec.replace("input", "output")])
    mean = plain_hook(resnet, "visual.layer4.2.act3", "input").mean((2, 3))
    torch.testing.assert_close(pooled["visual.layer4.2.act3:input:mean"], mean)
    assert (pooled["visual.layer4.2:output:mean"] > mean).any()


def test_hooks_are_gone_afterwards_also_after_an_error(resnet: Clip) -> None:
    before = hook_count(resnet.model)
    layers, _ = capture(resnet, "goh2021", "transformer.resblocks.0:cls")
    list_layers(resnet)
    assert hook_count(resnet.model) == before
    with pytest.raises(RuntimeError), capture_layers(resnet, tuple(layers)):
        assert hook_count(resnet.model) == before + 2
        resnet.model.encode_image(torch.zeros(1, 1, 1, 1))
    assert hook_count(resnet.model) == before


def test_hooks_change_no_embedding(resnet: Clip) -> None:
    with torch.inference_mode():
        plain = resnet.model.encode_image(pixels(resnet))
        with capture_layers(resnet, resolve_layers(resnet, ("goh2021", "visual.conv1"))):
            assert torch.equal(resnet.model.encode_image(pixels(resnet)), plain)
