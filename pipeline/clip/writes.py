"""What a neuron writes into the embedding, from the weights alone: no image is needed.

In a ResNet of open_clip the attention pool is linear once the attention is held fixed: one more unit of
activation of channel ``u`` in every place adds ``(W_c W_v)[:, u]``, since a head's attention sums to 1
(``W_v`` the value, ``W_c`` the output projection; Goh et al. 2021, doi:10.23915/distill.00030: zero-shot
neuron search).

In a ViT a neuron of an MLP adds the column of ``c_proj`` that is its own to the residual stream. What of it
goes straight to the embedding passes ``ln_post`` and ``proj``: the mean over the width is taken away, each
place is scaled by the norm's weight, and the projection turns it. This is the first-order effect of Gandelsman
et al. 2024 (arXiv:2406.04341); what later layers make of it is left out. The norm divides by a length, which
changes no cosine, and its own dependence on the neuron is left out too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from open_clip.transformer import VisionTransformer

from pipeline.base.errors import ModelError
from pipeline.clip.model import Clip


@dataclass(frozen=True)
class Written:
    """What the neurons of one layer write."""

    path: str
    """Of the module whose output, or input, the neurons are."""
    directions: torch.Tensor
    """Float64 ``[U, D]`` on the CPU: what one more unit of each neuron's activation adds to the embedding."""


def list_writing(clip: Clip) -> tuple[str, ...]:
    """Paths of the layers whose neurons lead straight to the embedding, from the first block to the last.

    Raises:
        ModelError: There is none in its image tower.
    """
    visual = clip.model.visual
    if _has_pool(visual):
        return (f"visual.layer4.{len(visual.layer4) - 1}.act3",)
    if isinstance(visual, VisionTransformer) and visual.attn_pool is None:
        names = (name for name, _ in clip.model.named_modules())
        return tuple(
            name
            for name in names
            if re.fullmatch(r"visual\.transformer\.resblocks\.\d+\.mlp\.gelu", name)
        )
    raise ModelError(
        f"The image tower of {clip.model_id} ({type(visual).__name__}) is neither a ResNet with an attention "
        "pool nor a ViT that ends in ln_post and proj: no neuron leads straight to the embedding.",
        "The weights can be asked of open_clip's ResNets (RN50, RN101, RN50x4, ..., nano) and of its ViTs. For "
        "other towers use neurons find --by concepts and --by similarity.",
    )


def choose_writing(clip: Clip, named: Sequence[str]) -> tuple[str, ...]:
    """Those of `list_writing` that layers name: canonical names, paths; all of them if none of these is meant.

    Raises:
        ModelError: As of `list_writing`.
    """
    paths = list_writing(clip)
    meant = {name.split(":")[0] for name in named}
    return tuple(path for path in paths if path in meant) or paths


@torch.inference_mode()
def iter_written(clip: Clip, paths: Sequence[str]) -> Iterator[Written]:
    """What the neurons of some layers write, layer by layer.

    Args:
        clip: The model.
        paths: Of `list_writing`.
    """
    visual = clip.model.visual
    for path in paths:
        if _has_pool(visual):
            pool = visual.attnpool
            written = (pool.c_proj.weight.double() @ pool.v_proj.weight.double()).T
        else:
            block = visual.get_submodule(path.removeprefix("visual.").removesuffix(".mlp.gelu"))
            written = _through_norm(visual, block)
        yield Written(path, written.cpu())


def _has_pool(visual: Any) -> bool:
    pool = getattr(visual, "attnpool", None)
    return pool is not None and all(hasattr(pool, name) for name in ("v_proj", "c_proj"))


def _through_norm(visual: Any, block: Any) -> torch.Tensor:
    """Float64 ``[U, D]``: the columns of a block's ``c_proj``, through what ends the tower."""
    rows = normed(scaled(block.mlp.c_proj.weight.double().T, block.ls_2), visual.ln_post)
    return rows if visual.proj is None else rows @ visual.proj.double()


def normed(rows: torch.Tensor, norm: Any) -> torch.Tensor:
    """A layer norm but for its length and bias: the mean over the width goes, the weight multiplies."""
    rows = rows - rows.mean(dim=-1, keepdim=True)
    return rows if norm.weight is None else rows * norm.weight.to(rows.dtype)


def scaled(rows: torch.Tensor, scale: Any) -> torch.Tensor:
    """What passes a layer scale, where a block has one."""
    gamma = getattr(scale, "gamma", None)
    return rows if gamma is None else rows * gamma.to(rows.dtype)
