"""Choosing layers: specs, presets, and a probe that finds where the units of each are.

A spec is ``PATH[:input|output][:max|mean|center|cls]``. ``input`` is what the module receives and
``output`` what it returns; Goh et al. (2021) read the *input* of a ResNet's last ReLU, where negative
values (inhibition) still exist.
"""

from __future__ import annotations

import difflib
import re
from contextlib import suppress

import torch
from torch import nn

from pipeline.errors import HookError
from pipeline.extract.hooks import Layer, LayerSpec, Layout, hook_points, text_pooling
from pipeline.extract.model import Clip

POINTS = ("input", "output")
POOLINGS = ("max", "mean", "center", "cls")
PRESETS = {
    "goh2021": "input of the last block's final ReLU in a ResNet tower, max (Goh et al. 2021)",
    "vit-mlp": "hidden neurons of the last MLP of a ViT tower, after the nonlinearity, max",
    "vit-mlp-all": "hidden neurons of every MLP of a ViT tower, after the nonlinearity, max",
}
_PROBE_COUNT = 3


def parse_layer(text: str) -> LayerSpec:
    """Parse ``PATH[:input|output][:max|mean|center|cls]``.

    Raises:
        HookError: A part is neither a point nor a pooling.
    """
    path, *rest = text.split(":")
    point, pooling = "output", "max"
    for part in rest:
        if part in POINTS:
            point = part
        elif part in POOLINGS:
            pooling = part
        else:
            raise HookError(
                f"{part!r} in layer spec {text!r} is neither a point nor a pooling.",
                f"Write PATH[:{'|'.join(POINTS)}][:{'|'.join(POOLINGS)}].",
            )
    return LayerSpec(path, point, pooling)


def _preset_specs(clip: Clip, preset: str) -> list[LayerSpec]:
    names = [name for name, _ in clip.model.named_modules()]
    if preset == "goh2021":
        blocks = [n for n in names if re.fullmatch(r"visual\.layer4\.\d+\.act3", n)]
        specs = [LayerSpec(n, "input", "max") for n in blocks[-1:]]
    else:
        mlps = [n for n in names if re.fullmatch(r"visual\..*\.mlp\.(gelu|act)", n)]
        specs = [LayerSpec(n, "output", "max") for n in mlps]
        specs = specs if preset == "vit-mlp-all" else specs[-1:]
    if not specs:
        raise HookError(
            f"Preset {preset!r} ({PRESETS[preset]}) finds nothing in {clip.model_id}.",
            f"Name a layer instead. List all with: neurons layers {clip.asked_for}",
        )
    return specs


def preset_layers(clip: Clip) -> dict[str, list[str]]:
    """What every preset names in a model, as canonical layer names; without those that name nothing."""
    found = {}
    for preset in PRESETS:
        with suppress(HookError):
            found[preset] = [str(spec) for spec in _preset_specs(clip, preset)]
    return found


def resolve_layers(clip: Clip, texts: tuple[str, ...]) -> tuple[Layer, ...]:
    """Turn layer specs and presets into probed layers of a model, in the order given.

    Raises:
        HookError: A path is not in the model (the closest are named), is named twice, or its tensor
            cannot be read as units.
    """
    specs: list[LayerSpec] = []
    for text in texts:
        specs += _preset_specs(clip, text) if text in PRESETS else [parse_layer(text)]
    if not specs:
        raise HookError(
            "No layer was named.",
            f"Give --layer SPEC, or a preset: {', '.join(PRESETS)}. "
            f"List layers with: neurons layers {clip.asked_for}",
        )
    if twice := {str(s) for s in specs if specs.count(s) > 1}:
        raise HookError(f"Layer {min(twice)!r} is named twice.", "Name each layer once.")
    known = dict(clip.model.named_modules())
    for spec in specs:
        if spec.path not in known or not spec.path:
            close = difflib.get_close_matches(spec.path, known, n=3, cutoff=0.3)
            named = f"Closest: {', '.join(map(repr, close))}. " if close else ""
            raise HookError(
                f"layer {spec.path!r} is not in {clip.model_id}.",
                f"{named}List all with: neurons layers {clip.asked_for}",
            )
    found = {layer.spec: layer for layer in _probe(clip, specs)}
    return tuple(found[spec] for spec in specs)


def list_layers(clip: Clip) -> list[Layer]:
    """Every module of a model whose output can be read as units, with the default pooling."""
    specs = [LayerSpec(name) for name, _ in clip.model.named_modules() if name]
    return _probe(clip, specs, strict=False)


def _layout(shape: tuple[int, ...]) -> tuple[Layout, int] | None:
    """Layout and number of units of a probe's tensor, or None if it is not one row per example."""
    if len(shape) == 4 and shape[0] == _PROBE_COUNT:
        is_last = shape[1] == shape[2] and shape[2] != shape[3]
        return ("channels_last", shape[3]) if is_last else ("channels_first", shape[1])
    if len(shape) == 3 and shape[0] == _PROBE_COUNT:
        return "tokens", shape[2]
    if len(shape) == 3 and shape[1] == _PROBE_COUNT:
        return "tokens_first", shape[2]
    if len(shape) == 2 and shape[0] == _PROBE_COUNT:
        return "flat", shape[1]
    return None


def _prefix_tokens(clip: Clip) -> int:
    visual = clip.model.visual
    trunk = getattr(visual, "trunk", None)
    if trunk is not None:
        return int(getattr(trunk, "num_prefix_tokens", 0))
    return int(hasattr(visual, "class_embedding"))


@torch.inference_mode()
def _probe(clip: Clip, specs: list[LayerSpec], strict: bool = True) -> list[Layer]:
    """Run three noise images and three texts, and read what passes each point."""
    seen: dict[LayerSpec, list[tuple[str, tuple[int, ...], bool]]] = {s: [] for s in specs}
    tower = "visual"

    def take(spec: LayerSpec, tensor: torch.Tensor | None) -> None:
        shape = () if tensor is None else tuple(tensor.shape)
        positive = tensor is not None and tensor.is_floating_point() and bool(tensor.min() >= 0)
        seen[spec].append((tower, shape, positive))

    size = clip.model.visual.image_size
    height, width = size if isinstance(size, (tuple, list)) else (size, size)
    noise = torch.Generator().manual_seed(0)
    images = torch.randn(_PROBE_COUNT, 3, height, width, generator=noise).to(clip.device)
    texts = clip.tokenizer(["a photo", "a drawing of a cat", "12"]).to(clip.device)
    with hook_points(clip.model, specs, take):
        clip.model.encode_image(images)
        tower = "text"
        clip.model.encode_text(texts)

    modules = dict(clip.model.named_modules())
    layers = []
    for spec in specs:
        passes = seen[spec]
        layout = _layout(passes[0][1]) if len(passes) == 1 else None
        if layout is None:
            if strict:
                raise _unreadable(clip, spec, [shape for _, shape, _ in passes])
            continue
        where, shape, positive = passes[0]
        relu = isinstance(modules[spec.path], nn.ReLU)
        layer = Layer(
            spec=spec,
            tower=where,
            kind=type(modules[spec.path]).__name__,
            layout=layout[0],
            unit_count=layout[1],
            is_rectified=relu or (positive and spec.point == "output"),
            prefix_tokens=_prefix_tokens(clip) if where == "visual" and len(shape) == 3 else 0,
        )
        if strict:
            _check_pooling(clip, layer)
        layers.append(layer)
    return layers


def _unreadable(clip: Clip, spec: LayerSpec, shapes: list[tuple[int, ...]]) -> HookError:
    if not shapes:
        why = "is not used when images or texts are encoded"
    elif len(shapes) > 1:
        why = f"is used {len(shapes)} times in one pass, so that its units are not one thing"
    else:
        why = f"holds a tensor of shape {list(shapes[0])} for {_PROBE_COUNT} examples"
    return HookError(
        f"layer {str(spec)!r} of {clip.model_id} {why}.",
        "Expected [N, C, H, W], [N, L, D] or [N, D]. "
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
    if why:
        raise HookError(
            f"layer {layer.name!r} of {clip.model_id} cannot be pooled by {pooling!r}: {why}.",
            "Use max, mean, or center for images.",
        )
