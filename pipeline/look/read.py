"""The model's passes: embeddings, activations as a run pools them, and maps of all layers at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from pipeline.clip.hooks import Capture, Layer, LayerSpec, hook_points, positions_of
from pipeline.clip.model import Clip
from pipeline.maps.compute import ActivationMap

IMAGES_AT_ONCE = 32


@dataclass(frozen=True)
class Reading:
    """What a model says of some images."""

    embeddings: torch.Tensor
    """Float32 ``[N, D]`` on the CPU, L2 norm 1."""
    activations: Mapping[str, torch.Tensor]
    """Layer -> float32 ``[N, U]`` on the CPU, pooled as the run does."""
    maps: Mapping[str, ActivationMap]
    """Layer -> the map of the first image; none of layers with one activation an image."""


@torch.inference_mode()
def read_images(clip: Clip, layers: Sequence[Layer], pixels: torch.Tensor) -> Reading:
    """Pass images through the image tower once.

    Args:
        clip: The model.
        layers: Of its image tower.
        pixels: Normalised, ``[N, 3, H, W]``.
    """
    capture = Capture(tuple(layers))
    known = {layer.spec: layer for layer in layers}
    maps: dict[str, ActivationMap] = {}

    def take(spec: LayerSpec, tensor: torch.Tensor | None) -> None:
        capture.take(spec, tensor)
        layer = known[spec]
        if layer.name not in maps and layer.layout != "flat":
            assert tensor is not None  # probed
            values = positions_of(
                tensor[:, :1] if layer.layout == "tokens_first" else tensor[:1], layer
            )
            maps[layer.name] = ActivationMap(layer, values[0].float().cpu().numpy().copy())

    embeddings: list[torch.Tensor] = []
    pooled: dict[str, list[torch.Tensor]] = {layer.name: [] for layer in layers}
    with clip.lock, hook_points(clip.model, list(known), take):
        for some in torch.split(pixels, IMAGES_AT_ONCE):
            found = clip.model.encode_image(some.to(clip.device), normalize=True)
            embeddings.append(found.float().cpu())
            for name, values in capture.pooled.items():
                pooled[name].append(values.float().cpu())
    return Reading(
        torch.cat(embeddings), {name: torch.cat(parts) for name, parts in pooled.items()}, maps
    )
