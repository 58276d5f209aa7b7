"""Activations before they are pooled: one forward pass of single images or texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pipeline.base.errors import HookError
from pipeline.clip.hooks import Layer, end_positions, hook_points, positions_of
from pipeline.clip.model import Clip

Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class ActivationMap:
    """The activations of one image or text, before pooling."""

    layer: Layer
    values: Floats
    """``[P, U]``, or ``[P]`` of one unit: positions in reading order, of a text those up to its end."""
    tokens: tuple[str, ...] = ()
    """Of a text: what stands at each position."""

    @property
    def peak(self) -> int:
        """Where one unit's activation is the largest; of equal ones the first."""
        return int(self.values.argmax())

    @property
    def cell(self) -> tuple[int, int] | None:
        """Row and column of the peak; None if it is in no grid, as the class token."""
        if self.layer.grid is None or self.peak < self.layer.prefix_tokens:
            return None
        return divmod(self.peak - self.layer.prefix_tokens, self.layer.grid[1])

    @property
    def grid(self) -> Floats | None:
        """``[rows, columns]`` or ``[rows, columns, U]``: without tokens before the patches; None for a text."""
        if self.layer.grid is None:
            return None
        cells = self.values[self.layer.prefix_tokens :]
        return cells.reshape(*self.layer.grid, *cells.shape[1:])

    def of_unit(self, unit: int) -> ActivationMap:
        """The map of one of the units."""
        return ActivationMap(self.layer, self.values[:, unit], self.tokens)


def require_map(layer: Layer) -> None:
    """Refuse a layer that has one activation an image.

    Raises:
        HookError: It has.
    """
    if layer.layout == "flat":
        raise HookError(
            f"Layer {layer.name!r} has one activation of each example and no places.",
            "Ask a layer with a map or tokens; neurons layers MODEL lists them.",
        )


@torch.inference_mode()
def map_images(clip: Clip, layer: Layer, pixels: torch.Tensor) -> list[ActivationMap]:
    """Maps of all units of a layer.

    Args:
        clip: The model.
        layer: One of its image tower.
        pixels: Normalised, ``[N, 3, H, W]``.

    Raises:
        HookError: The layer has no places.
    """
    require_map(layer)
    with clip.lock:
        found = _pass(clip, layer, None, lambda: clip.model.encode_image(pixels.to(clip.device)))
    return [ActivationMap(layer, values) for values in found]


@torch.inference_mode()
def map_texts(clip: Clip, layer: Layer, texts: Sequence[str]) -> list[ActivationMap]:
    """The same of texts, for a layer of the text tower; what stands after a text's end is left out."""
    require_map(layer)
    tokens = clip.tokenizer(list(texts)).to(clip.device)
    ends = end_positions(clip, tokens)
    with clip.lock:
        found = _pass(clip, layer, ends, lambda: clip.model.encode_text(tokens))
    maps = []
    for values, ids, end in zip(found, tokens.tolist(), ends.tolist(), strict=True):
        names = tuple(_name_token(clip, token) for token in ids[: end + 1])
        maps.append(ActivationMap(layer, values[: end + 1], names))
    return maps


def _pass(clip: Clip, layer: Layer, ends: torch.Tensor | None, run: Any) -> list[Floats]:
    """``[P, U]`` of each example."""
    seen: list[torch.Tensor] = []

    def take(_: object, tensor: torch.Tensor | None) -> None:
        assert tensor is not None  # probed
        seen.append(positions_of(tensor, layer, ends).float().cpu().clone())

    with hook_points(clip.model, [layer.spec], take):
        run()
    (found,) = seen  # probed: it is passed once
    return [example.numpy() for example in found]


def _name_token(clip: Clip, token: int) -> str:
    """What a token stands for, as its tokenizer writes it; its number if that cannot be known."""
    tokenizer: Any = clip.tokenizer
    inner: Any = getattr(tokenizer, "tokenizer", None)
    if hasattr(inner, "convert_ids_to_tokens"):
        return str(inner.convert_ids_to_tokens([token])[0])
    return str(tokenizer.decode([token])).strip() if hasattr(tokenizer, "decode") else str(token)
