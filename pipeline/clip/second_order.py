"""What a neuron of a ViT does to the embedding through the attention layers that come after it.

What a neuron of an MLP writes reaches the embedding straight (`writes`, the first-order effect), and through
every later attention layer, which carries it from all tokens to the class token. That is its second-order
effect (Gandelsman et al. 2024, arXiv:2406.04341, section 3.2). On one image it is linear in the neuron once the
attention and the lengths by which layer norms divide are held as they are:

    sum over later layers l, heads h, tokens i of  a[l, h, i] * p[i] / s[l, i] * P N W_O[l, h] W_V[l, h] N[l] w

where ``p[i]`` is the neuron's activation at a token, ``w`` its column of ``c_proj``, ``a`` the attention from
the class token, ``N`` a norm without its length (the mean over the width is taken away, the weight
multiplies), ``s`` its length, and ``P`` the projection. What a later attention layer or MLP makes of it in turn
is of higher order, and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from open_clip.transformer import VisionTransformer
from torch import nn

from pipeline.base.errors import ModelError
from pipeline.clip.hooks import LayerSpec, hook_points
from pipeline.clip.model import Clip
from pipeline.clip.writes import normed, scaled

_MLP = ".mlp.gelu"


class SecondOrder:
    """The second-order effects of the neurons of one MLP.

    Args:
        clip: The model.
        path: Of the layer, one of `writes.list_writing`: ``visual.transformer.resblocks.8.mlp.gelu``.

    Raises:
        ModelError: The tower is no ViT of open_clip that ends at its class token, with plain attention; or
            no attention comes after the layer.
    """

    def __init__(self, clip: Clip, path: str) -> None:
        visual = clip.model.visual
        _refuse_others(clip, path)
        blocks = list(visual.transformer.resblocks)
        number = int(path.removesuffix(_MLP).rsplit(".", 1)[-1])
        self.clip, self.path, self._visual = clip, path, visual
        self._later = {n: blocks[n] for n in range(number + 1, len(blocks))}
        if not self._later:
            raise ModelError(
                f"No attention comes after {path}.", "Its neurons have a first-order effect alone."
            )
        self._columns = scaled(blocks[number].mlp.c_proj.weight.float().T, blocks[number].ls_2)
        self.unit_count = len(self._columns)

    @torch.inference_mode()
    def measure(self, pixels: torch.Tensor, units: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        """What neurons do to the embedding of each image, before it gets length one.

        Args:
            pixels: Normalised, ``[N, 3, H, W]``, where the model is.
            units: For each image, the neurons that are meant.

        Returns:
            For each image float32 ``[units, D]``, on the CPU.
        """
        seen = self._pass(pixels)
        many = [torch.tensor(some, dtype=torch.long, device=pixels.device) for some in units]
        written = [self._columns.new_zeros(len(some), self._columns.shape[1]) for some in many]
        for number, block in self._later.items():
            reach = _attend(block, seen[f"{number} normed"]) / _lengths(
                block.ln_1, seen[f"{number} given"]
            )  # [N, heads, tokens]
            values = self._values(block)
            for image, some in enumerate(many):
                shares = (
                    reach[image] @ seen["activations"][image][:, some].float()
                )  # [heads, units]
                mixed = values[some].view(len(some), len(shares), -1) * shares.T[:, :, None]
                out = mixed.flatten(1) @ block.attn.out_proj.weight.float().T
                written[image] += scaled(out, block.ls_1)
        norm, proj = self._visual.ln_post, self._visual.proj
        ends = _lengths(norm, seen["end"][:, :1])
        return [
            _project(normed(one, norm) / end, proj).cpu()
            for one, end in zip(written, ends, strict=True)
        ]

    def _values(self, block: Any) -> torch.Tensor:
        """``W_V N w`` of all neurons and heads, ``[U, width]``."""
        width = self._columns.shape[1]
        weight = block.attn.in_proj_weight[2 * width :].float()
        values: torch.Tensor = normed(self._columns, block.ln_1) @ weight.T
        return values

    def _pass(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the layers that matter hold, tokens second: ``[N, T, ...]``."""
        names = {LayerSpec(self.path): "activations", LayerSpec("visual.ln_post", "input"): "end"}
        for number in self._later:
            norm = f"visual.transformer.resblocks.{number}.ln_1"
            names |= {LayerSpec(norm, "input"): f"{number} given"}
            names |= {LayerSpec(norm): f"{number} normed"}
        seen: dict[str, torch.Tensor] = {}

        def take(spec: LayerSpec, tensor: torch.Tensor | None) -> None:
            assert tensor is not None  # of a norm or of a nonlinearity
            seen[names[spec]] = tensor.clone()

        with self.clip.lock, hook_points(self.clip.model, list(names), take):
            self.clip.model.encode_image(pixels)
        if not next(iter(self._later.values())).attn.batch_first:
            seen = {name: t if name == "end" else t.transpose(0, 1) for name, t in seen.items()}
        if seen["end"].ndim == 2:  # the norm comes after the class token is taken
            seen["end"] = seen["end"][:, None]
        return seen


def first_component(effects: torch.Tensor) -> tuple[torch.Tensor, float]:
    """The direction along which effects lie, and how much of them it is.

    The first principal component about zero, where the effect of a neuron that is silent is; its sign is that
    of the effects' mean.

    Args:
        effects: One neuron's on several images, ``[N, D]``.

    Returns:
        Float64 ``[D]`` of length one, and the share of the sum of squares in 0..1; zeros, 0 if all are zero.
    """
    values, rights = torch.linalg.svd(effects.double(), full_matrices=False)[1:]
    total = float(values.square().sum())
    if not total:
        return effects.new_zeros(effects.shape[1], dtype=torch.float64), 0.0
    sign = 1.0 if float(effects.double().sum(0) @ rights[0]) >= 0 else -1.0
    return sign * rights[0], float(values[0].square()) / total


def _project(rows: torch.Tensor, proj: torch.Tensor | None) -> torch.Tensor:
    return rows if proj is None else rows @ proj.to(rows.dtype)


def _lengths(norm: nn.LayerNorm, given: torch.Tensor) -> torch.Tensor:
    """What a norm divides by, float32 ``[N, 1, T]``."""
    variance = given.float().var(dim=-1, unbiased=False)
    return (variance + norm.eps).sqrt()[:, None]


def _attend(block: Any, tokens: torch.Tensor) -> torch.Tensor:
    """The attention from the class token to each token, ``[N, heads, T]``.

    Args:
        block: Of the tower.
        tokens: What its attention is given, ``[N, T, width]``.
    """
    attention: nn.MultiheadAttention = block.attn
    asked = (tokens[:, :1], tokens, tokens)
    if not attention.batch_first:
        asked = (tokens[:, :1].transpose(0, 1), *(tokens.transpose(0, 1),) * 2)
    _, weights = attention(*asked, need_weights=True, average_attn_weights=False)
    found: torch.Tensor = weights[:, :, 0].float()
    return found


def _refuse_others(clip: Clip, path: str) -> None:
    visual = clip.model.visual
    blocks = list(visual.transformer.resblocks) if isinstance(visual, VisionTransformer) else []
    is_plain = all(
        isinstance(getattr(block, "attn", None), nn.MultiheadAttention)
        and block.attn.in_proj_weight is not None
        for block in blocks
    )
    is_vit = isinstance(visual, VisionTransformer) and visual.attn_pool is None
    if not (is_vit and visual.pool_type == "tok" and is_plain and path.endswith(_MLP)):
        raise ModelError(
            f"What neurons of {path!r} of {clip.model_id} do through later attention layers cannot be told.",
            "It can of the MLPs of open_clip's ViTs that end at their class token (ViT-B-32, ViT-L-14, ...).",
        )
