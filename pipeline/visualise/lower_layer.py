"""The lower layer that a facet probe reads: which one, and the means of its channels over an image."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch

from pipeline.base.errors import HookError
from pipeline.clip.hooks import Layer, capture_layers
from pipeline.clip.layers import parse_layer, resolve_layers
from pipeline.clip.model import Clip
from pipeline.visualise.facet_probes import Floats

_BLOCK = re.compile(r"(visual\.(?:[a-z_]+\.)*?(?:layer|stages\.|blocks\.|resblocks\.))(\d+)\b")
"""The block of an image tower that a module is in: a stage of a ResNet, a block of a ViT."""


def choose_probe_layer(clip: Clip, layer: str, asked: str) -> Layer:
    """The layer that a probe for the neurons of a layer reads, pooled by mean.

    Goh et al. 2021 read the third of a ResNet's four blocks for the neurons of the fourth; so, if none is
    asked for, it is the block at three quarters of the way to the neurons' own.

    Args:
        clip: The model.
        layer: Canonical name of the neurons' layer.
        asked: Path of the lower one; empty if it is to be chosen.

    Raises:
        HookError: There is no such layer, it is of a text tower, it is no map or tokens; or none can be
            chosen.
    """
    path = parse_layer(asked).path if asked else _three_quarters(clip, layer)
    (found,) = resolve_layers(clip, (f"{path}:output:mean",))
    if found.tower != "visual" or found.layout == "flat":
        raise HookError(
            f"layer {path!r} of {clip.model_id} has no channels over positions of an image.",
            f"Name a lower layer of the image tower. List all with: neurons layers {clip.asked_for}",
        )
    return found


def _three_quarters(clip: Clip, layer: str) -> str:
    known = dict(clip.model.named_modules())
    match = _BLOCK.match(layer)
    path = f"{match[1]}{int(match[2]) * 3 // 4}" if match else ""
    if match is None or path not in known or path == match[0]:
        raise HookError(
            f"No layer below {layer!r} of {clip.model_id} can be chosen for a facet probe.",
            f"Name one: --probe-layer PATH. List all with: neurons layers {clip.asked_for}",
        )
    return path


@torch.inference_mode()
def read_channel_means(clip: Clip, layer: Layer, images: Sequence[torch.Tensor]) -> Floats:
    """Each channel's mean over all positions, float32 ``[N, channels]``.

    Args:
        clip: The model.
        layer: Of `choose_probe_layer`.
        images: Normalised pixels, each ``[1, 3, H, W]``, where the model is.
    """
    with capture_layers(clip, (layer,)) as capture:
        clip.model.encode_image(torch.cat(list(images)))
        return np.asarray(capture.pooled[layer.name].float().cpu().numpy())
