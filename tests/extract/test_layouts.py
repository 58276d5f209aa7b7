"""Where the units are comes from what the modules compute, on maps and grids that are not square."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import open_clip
import pytest
import timm
import torch
from torch import nn

from pipeline.base.errors import HookError
from pipeline.clip.hooks import capture_layers
from pipeline.clip.layers import list_layers, resolve_layers
from pipeline.clip.model import Clip, load_clip
from pipeline.clip.probe_layers import place_patches


class Tower(nn.Module):
    """A tower of timm beside the text tower of a small CLIP."""

    def __init__(self, trunk: nn.Module, clip: Clip) -> None:
        super().__init__()
        self.visual = nn.Module()
        self.visual.trunk = trunk
        self.text = [clip.model]  # not a module of this one
        self.text_pool_type, self.text_eos_id = clip.model.text_pool_type, clip.model.text_eos_id

    def encode_image(self, image: torch.Tensor) -> Any:
        return self.visual.trunk(image)

    def encode_text(self, text: torch.Tensor) -> Any:
        return self.text[0].encode_text(text)


def make_clip(size_px: tuple[int, int], name: str, **options: Any) -> Clip:
    clip = load_clip("ViT-small:random")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trunk = timm.create_model(name, num_classes=16, **options).eval()
    setup = replace(clip.setup, image=replace(clip.setup.image, size_px=size_px))
    return replace(clip, model_id=name, asked_for=name, model=Tower(trunk, clip), setup=setup)


TOWERS = {
    "swin": ((64, 96), "swin_tiny_patch4_window7_224", {
        "img_size": (64, 96), "window_size": 4, "depths": (1, 1), "embed_dim": 24,
        "num_heads": (2, 2),
    }),
    "convnext": ((64, 96), "convnext_tiny", {"depths": (1, 1, 1, 1), "dims": (24, 32, 48, 64)}),
    "resnet": ((32, 96), "resnet10t", {}),
    "vit": ((96, 64), "vit_tiny_patch16_224", {
        "img_size": (96, 64), "depth": 1, "embed_dim": 32, "num_heads": 2,
    }),
}  # fmt: skip

# path -> layout, units, and which axes of a plain hook's tensor are rows, columns and units
MAPS = {
    "swin": {
        "visual.trunk.patch_embed": ("channels_last", 24),
        "visual.trunk.layers.0.blocks.0": ("channels_last", 24),
        "visual.trunk.layers.1.downsample": ("channels_last", 48),
        "visual.trunk.patch_embed.proj": ("channels_first", 24),
    },
    "convnext": {
        # 16 x 24 positions of 24 units: rows, columns and units, of which two are of one size
        "visual.trunk.stages.0.blocks.0.norm": ("channels_last", 24),
        "visual.trunk.stages.0.blocks.0.mlp.act": ("channels_last", 96),
        "visual.trunk.stages.0.blocks.0.conv_dw": ("channels_first", 24),
        "visual.trunk.stages.0.blocks.0": ("channels_first", 24),
        "visual.trunk.stages.3": ("channels_first", 64),
    },
    "resnet": {
        "visual.trunk.act1": ("channels_first", 64),
        "visual.trunk.conv1.0": ("channels_first", 24),  # 16 x 48 positions: wider than deep
        "visual.trunk.layer4": ("channels_first", 512),
    },
}


def plain_hook(clip: Clip, path: str, images: torch.Tensor) -> torch.Tensor:
    kept = []
    module = dict(clip.model.named_modules())[path]
    handle = module.register_forward_hook(lambda _, __, out: kept.append(out.clone()))
    clip.model.encode_image(images)
    handle.remove()
    return kept[0]


@pytest.mark.parametrize("tower", MAPS)
@torch.inference_mode()
def test_maps(tower: str) -> None:
    size_px, name, options = TOWERS[tower]
    clip = make_clip(size_px, name, **options)
    images = torch.randn(5, 3, *size_px, generator=torch.Generator().manual_seed(1))
    specs = [f"{path}:{pooling}" for path in MAPS[tower] for pooling in ("center", "max", "mean")]
    layers = resolve_layers(clip, tuple(specs))
    with capture_layers(clip, layers) as captured:
        clip.model.encode_image(images)
    for path, (layout, unit_count) in MAPS[tower].items():
        plain = plain_hook(clip, path, images)
        if layout == "channels_last":
            plain = plain.permute(0, 3, 1, 2)
        rows, columns = plain.shape[2:]
        assert rows < columns  # as the input
        mine = {layer.spec.pooling: layer for layer in layers if layer.spec.path == path}
        assert {(layer.layout, layer.unit_count) for layer in mine.values()} == {
            (layout, unit_count)
        }
        got = {pooling: captured.pooled[layer.name] for pooling, layer in mine.items()}
        assert torch.equal(got["center"], plain[:, :, rows // 2, columns // 2])
        assert torch.equal(got["max"], plain.amax((2, 3)))
        torch.testing.assert_close(got["mean"], plain.mean((2, 3)))


@torch.inference_mode()
def test_center_of_a_grid_that_is_higher_than_wide() -> None:
    size_px, name, options = TOWERS["vit"]
    clip = make_clip(size_px, name, **options)
    images = torch.randn(4, 3, *size_px, generator=torch.Generator().manual_seed(1))
    paths = {"visual.trunk.blocks.0.mlp.act": 1, "visual.trunk.patch_embed": 0}  # class tokens
    layers = resolve_layers(clip, tuple(f"{path}:center" for path in paths))
    with capture_layers(clip, layers) as captured:
        clip.model.encode_image(images)
    for layer, (path, prefix) in zip(layers, paths.items(), strict=True):
        plain = plain_hook(clip, path, images)
        assert plain.shape[1] == prefix + 6 * 4
        assert (layer.grid, layer.prefix_tokens) == ((6, 4), prefix)
        rows = plain[:, prefix:].reshape(4, 6, 4, -1)
        assert torch.equal(captured.pooled[layer.name], rows[:, 3, 2])
    with pytest.raises(HookError, match="this tower has no class token"):
        resolve_layers(clip, ("visual.trunk.patch_embed:cls",))


@torch.inference_mode()
def test_center_of_an_open_clip_tower_that_is_not_square() -> None:
    config = json.loads(json.dumps(open_clip.get_model_config("ViT-small")))
    config["vision_cfg"]["image_size"] = [96, 64]
    small = load_clip("ViT-small:random")
    setup = replace(small.setup, image=replace(small.setup.image, size_px=(96, 64)))
    clip = replace(small, model=open_clip.CLIP(**config).eval(), setup=setup)
    path = "visual.transformer.resblocks.1.mlp.gelu"
    (layer,) = resolve_layers(clip, (f"{path}:center",))
    images = torch.randn(4, 3, 96, 64, generator=torch.Generator().manual_seed(1))
    with capture_layers(clip, (layer,)) as captured:
        clip.model.encode_image(images)
    rows = plain_hook(clip, path, images)[:, 1:].reshape(4, 6, 4, -1)
    assert torch.equal(captured.pooled[layer.name], rows[:, 3, 2])


def test_queries_of_an_attentional_pool_are_no_patches() -> None:
    config = json.loads(json.dumps(open_clip.get_model_config("ViT-small")))
    config["vision_cfg"] |= {
        "attentional_pool": True,
        "attn_pooler_heads": 2,
        "attn_pooler_queries": 9,
    }
    small = load_clip("ViT-small:random")
    clip = replace(small, model=open_clip.CLIP(**config).eval())
    assert [
        layer.grid for layer in resolve_layers(clip, ("visual.ln_pre", "visual.attn_pool"))
    ] == [
        (3, 3),
        None,
    ]
    with pytest.raises(HookError, match="its tokens are no grid of patches"):
        resolve_layers(clip, ("visual.attn_pool:center",))


def test_windows_and_heads_are_no_layers() -> None:
    """What Swin's attention sees is windows of several images in a row, and a head is no place."""
    size_px, name, options = TOWERS["swin"]
    clip = make_clip(size_px, name, **options)
    readable = {layer.spec.path: layer for layer in list_layers(clip)}
    assert "visual.trunk.layers.0.blocks.0.attn.qkv" not in readable
    with pytest.raises(HookError, match="holds a tensor of shape"):
        resolve_layers(clip, ("visual.trunk.layers.0.blocks.0.attn.qkv",))
    mlp = readable["visual.trunk.layers.0.blocks.0.mlp.act"]
    assert (mlp.layout, mlp.unit_count, mlp.grid) == ("tokens", 96, (16, 24))
    size_px, name, options = TOWERS["vit"]
    clip = make_clip(size_px, name, **options)
    assert "visual.trunk.blocks.0.attn.q_norm" not in {x.spec.path for x in list_layers(clip)}
    (layer,) = resolve_layers(clip, ("visual.trunk.blocks.0.attn.proj:input",))
    assert (layer.layout, layer.unit_count) == ("tokens", 32)


def test_numbers_of_tokens_are_no_layer() -> None:
    clip = load_clip("ViT-small:random")
    with pytest.raises(HookError, match="holds numbers of tokens or other integers"):
        resolve_layers(clip, ("token_embedding:input",))
    (layer,) = resolve_layers(clip, ("token_embedding",))
    assert (layer.tower, layer.layout, layer.unit_count) == ("text", "tokens", 16)


@pytest.mark.parametrize(
    ("tokens", "grid", "prefix", "expected"),
    [
        (25, (6, 4), 1, ((6, 4), 1)),
        (24, (6, 4), 1, ((6, 4), 0)),
        (7, (6, 4), 1, ((3, 2), 1)),  # merged two by two
        (6, (6, 4), 1, ((3, 2), 0)),
        (23, (6, 4), 1, (None, 0)),
        (9, None, 1, (None, 0)),
    ],
)
def test_patches_among_tokens(
    tokens: int, grid: tuple[int, int] | None, prefix: int, expected: Any
) -> None:
    assert place_patches(tokens, grid, prefix) == expected
