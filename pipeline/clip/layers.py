"""Choosing layers: specs, presets, and a probe that finds where the units of each are.

A spec is ``PATH[:input|output][:max|mean|center|cls]``. ``input`` is what the module receives and
``output`` what it returns; Goh et al. (2021) read the *input* of a ResNet's last ReLU, where negative
values (inhibition) still exist.
"""

from __future__ import annotations

import difflib
import re
from contextlib import suppress

from pipeline.base.errors import HookError
from pipeline.clip.hooks import Layer, LayerSpec
from pipeline.clip.model import Clip
from pipeline.clip.probe_layers import probe_layers

POINTS = ("input", "output")
POOLINGS = ("max", "mean", "center", "cls")
PRESETS = {
    "goh2021": "input of the last block's final ReLU in a ResNet tower, max (Goh et al. 2021)",
    "vit-mlp": "hidden neurons of the last MLP of a ViT tower, after the nonlinearity, max",
    "vit-mlp-all": "hidden neurons of every MLP of a ViT tower, after the nonlinearity, max",
}


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
    found = {layer.spec: layer for layer in probe_layers(clip, specs)}
    return tuple(found[spec] for spec in specs)


def list_layers(clip: Clip) -> list[Layer]:
    """Every module of a model whose output can be read as units, with the default pooling."""
    specs = [LayerSpec(name) for name, _ in clip.model.named_modules() if name]
    return probe_layers(clip, specs, strict=False)
