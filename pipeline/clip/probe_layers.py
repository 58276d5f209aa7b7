"""A probe of a model: what passes each layer, where its units are, and how it may be pooled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from open_clip.transformer import AttentionalPooler
from torch import nn

from pipeline.base.errors import HookError
from pipeline.clip.hooks import Layer, LayerSpec, Layout, hook_points, text_pooling
from pipeline.clip.model import Clip
from pipeline.clip.unit_axes import UnitAxes, axis_read_by

_MAPS: dict[Layout, tuple[int, int]] = {"channels_first": (2, 3), "channels_last": (1, 2)}
"""Axes of the rows and columns of a feature map."""


@dataclass(frozen=True)
class _Pass:
    """What passed a layer's point once in a probe."""

    tower: str
    shape: tuple[int, ...]
    unit_axis: int | None
    is_float: bool
    is_positive: bool
    is_pooled: bool
    """An attentional pooler has run: what looks like patches are its queries."""


def _layout(one: _Pass, two: _Pass) -> tuple[Layout, int] | None:
    """Layout and number of units, or None if it is not one row of units per example.

    The axis of the examples is the one that follows the size of the batch; that of the units follows
    from the arithmetic (see ``unit_axes``).
    """
    batch = [i for i, sizes in enumerate(zip(one.shape, two.shape, strict=True)) if sizes == (2, 1)]
    same = [i for i, (a, b) in enumerate(zip(one.shape, two.shape, strict=True)) if a == b]
    if not one.is_float or len(batch) != 1 or len(same) != len(one.shape) - 1:
        return None
    axes = (len(one.shape), batch[0], one.unit_axis)
    if axes[:2] == (2, 0):
        return "flat", one.shape[1]
    known: dict[tuple[int, int, int | None], Layout] = {
        (4, 0, 1): "channels_first",
        (4, 0, 3): "channels_last",
        (3, 0, 2): "tokens",
        (3, 1, 2): "tokens_first",
    }
    found = known.get(axes) if one.unit_axis == two.unit_axis else None
    return (found, one.shape[one.unit_axis]) if found and one.unit_axis is not None else None


def find_grid(visual: Any) -> tuple[int, int] | None:
    """Rows and columns of an image tower's patches, if it cuts images into patches."""
    embed = getattr(getattr(visual, "trunk", None), "patch_embed", None)
    grid = getattr(visual, "grid_size", None) or getattr(embed, "grid_size", None)
    return (int(grid[0]), int(grid[1])) if grid else None


def place_patches(
    token_count: int, grid: tuple[int, int] | None, prefix: int
) -> tuple[tuple[int, int] | None, int]:
    """Rows and columns of the patches among some tokens, and how many tokens stand before them.

    Args:
        token_count: Tokens of a layer.
        grid: The tower's patches; a later layer may have merged them evenly.
        prefix: The tower's class and register tokens; layers before they are added have none.

    Returns:
        The grid, None if the tokens are no grid; and the number of tokens before it.
    """
    if grid is not None:
        for merged in range(1, min(grid) + 1):
            rows, columns = grid[0] // merged, grid[1] // merged
            exact = grid[0] % merged == grid[1] % merged == 0
            for before in (prefix, 0):
                if exact and token_count == rows * columns + before:
                    return (rows, columns), before
    return None, 0


def _prefix_tokens(clip: Clip) -> int:
    visual = clip.model.visual
    trunk = getattr(visual, "trunk", None)
    if trunk is not None:
        return int(getattr(trunk, "num_prefix_tokens", 0))
    return int(hasattr(visual, "class_embedding"))


def _run_probe(clip: Clip, specs: list[LayerSpec], count: int) -> dict[LayerSpec, list[_Pass]]:
    """Run noise images and texts through the model, and note what passes each point."""
    seen: dict[LayerSpec, list[_Pass]] = {s: [] for s in specs}
    tower, is_pooled = "visual", False
    axes, modules = UnitAxes(), dict(clip.model.named_modules())

    def axis_of(spec: LayerSpec, tensor: torch.Tensor) -> int | None:
        known = axes.of(tensor)
        if known is None and spec.point == "input":
            return axis_read_by(modules[spec.path], tensor)
        return known

    def take(spec: LayerSpec, tensor: torch.Tensor | None) -> None:
        is_float = tensor is not None and tensor.is_floating_point()
        seen[spec].append(
            _Pass(
                tower,
                () if tensor is None else tuple(tensor.shape),
                None if tensor is None else axis_of(spec, tensor),
                is_float,
                is_float and tensor is not None and bool(tensor.min() >= 0),
                is_pooled,
            )
        )

    def note_pooler(*_: Any) -> None:
        nonlocal is_pooled
        is_pooled = True

    height, width = clip.setup.image.size_px
    noise = torch.Generator().manual_seed(0)
    images = torch.randn(count, 3, height, width, generator=noise).to(clip.device)
    texts = clip.tokenizer(["a photo", "a drawing of a cat"][:count]).to(clip.device)
    axes.mark(images, 1)
    poolers = [m for m in clip.model.modules() if isinstance(m, AttentionalPooler)]
    handles = [pooler.register_forward_pre_hook(note_pooler) for pooler in poolers]
    try:
        with hook_points(clip.model, specs, take), axes:
            clip.model.encode_image(images)
            tower, is_pooled = "text", False
            clip.model.encode_text(texts)
    finally:
        for handle in handles:
            handle.remove()
    return seen


@torch.inference_mode()
def probe_layers(clip: Clip, specs: list[LayerSpec], strict: bool = True) -> list[Layer]:
    """Run two images and texts, then one, and read what passes each point.

    Args:
        clip: The model.
        specs: Points of it.
        strict: Refuse those that cannot be read; else leave them out.

    Raises:
        HookError: A tensor cannot be read as units, or not be pooled in that way.
    """
    with clip.lock:
        two, one = (_run_probe(clip, specs, count) for count in (2, 1))
    modules = dict(clip.model.named_modules())
    grid, prefix = find_grid(clip.model.visual), _prefix_tokens(clip)
    layers = []
    for spec in specs:
        passes = two[spec]
        is_once = len(passes) == len(one[spec]) == 1
        layout = _layout(passes[0], one[spec][0]) if is_once else None
        if layout is None:
            if strict:
                raise _unreadable(clip, spec, passes)
            continue
        seen = passes[0]
        patches, before, tokens = None, 0, None
        if layout[0] in _MAPS:
            rows, columns = (seen.shape[axis] for axis in _MAPS[layout[0]])
            patches = (rows, columns)
        elif layout[0] != "flat":
            tokens = seen.shape[1 if layout[0] == "tokens" else 0]
        if seen.tower == "visual" and tokens is not None:
            patches, before = place_patches(tokens, None if seen.is_pooled else grid, prefix)
        is_positive = seen.is_positive and one[spec][0].is_positive
        layer = Layer(
            spec=spec,
            tower=seen.tower,
            kind=type(modules[spec.path]).__name__,
            layout=layout[0],
            unit_count=layout[1],
            is_rectified=isinstance(modules[spec.path], nn.ReLU)
            or (is_positive and spec.point == "output"),
            prefix_tokens=before,
            grid=patches,
            token_count=tokens,
        )
        if strict:
            _check_pooling(clip, layer)
        layers.append(layer)
    return layers


def _unreadable(clip: Clip, spec: LayerSpec, passes: list[_Pass]) -> HookError:
    if not passes:
        why = "is not used when images or texts are encoded"
    elif len(passes) > 1:
        why = f"is used {len(passes)} times in one pass, so that its units are not one thing"
    elif not passes[0].is_float:
        why = "holds numbers of tokens or other integers, not activations"
    else:
        why = f"holds a tensor of shape {list(passes[0].shape)} for 2 examples"
        if len(passes[0].shape) in (3, 4):
            axis = passes[0].unit_axis
            why += f", with units on axis {axis}" if axis is not None else ""
            why += ", and nothing says which axis holds units" if axis is None else ""
    return HookError(
        f"layer {str(spec)!r} of {clip.model_id} {why}.",
        "Expected [N, C, H, W], [N, H, W, C], [N, L, D], [L, N, D] or [N, D]. "
        f"List readable layers with: neurons layers {clip.asked_for}",
    )


def _check_pooling(clip: Clip, layer: Layer) -> None:
    pooling = layer.spec.pooling
    is_map = layer.layout in ("channels_first", "channels_last")
    pool_type, _ = text_pooling(clip)
    why = ""
    if pooling == "cls" and is_map:
        why = "a feature map has no class token"
    elif pooling == "cls" and layer.tower == "visual" and layer.layout != "flat":
        why = "" if layer.prefix_tokens else "this tower has no class token"
    elif pooling == "cls" and layer.tower == "text" and pool_type not in ("argmax", "eos"):
        why = f"this text tower pools by {pool_type!r} and has no end token"
    elif pooling == "center" and layer.tower == "text":
        why = "a text has no center"
    elif pooling == "center" and not is_map and layer.layout != "flat" and layer.grid is None:
        why = "its tokens are no grid of patches"
    if why:
        raise HookError(
            f"layer {layer.name!r} of {clip.model_id} cannot be pooled by {pooling!r}: {why}.",
            "Use max, mean, or center for images.",
        )
