"""Reading neurons: hooks on the layers, and pooling inside the hook.

Pooling happens inside the hook because open_clip's last ReLU works in place and overwrites what it was
given. How positions are pooled to one activation per (neuron, example):

=========  ==================================  =============================================
pooling    feature map ``[N, C, H, W]``        tokens ``[N, L, D]``
=========  ==================================  =============================================
max, mean  over all positions                  over all tokens; a text's end at its end token
center     the position ``(H // 2, W // 2)``   the patch in the middle of the grid
cls        (refused)                           the class token; a text's end token
=========  ==================================  =============================================

Of ``max`` the *peak* is known as well: the position of the maximum, in reading order the first of equal ones.
On a map it is ``row * columns + column``, of tokens their index.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from pipeline.clip.model import Clip

_STRETCH = 16
"""Positions next to each other that are searched together, see `_first_maximum`."""

Layout = Literal["channels_first", "channels_last", "tokens", "tokens_first", "flat"]


@dataclass(frozen=True)
class LayerSpec:
    """Where to read and how to pool; ``str()`` gives the canonical name used as ``layer``."""

    path: str
    point: str = "output"
    pooling: str = "max"

    def __str__(self) -> str:
        return f"{self.path}:{self.point}:{self.pooling}"


@dataclass(frozen=True)
class Layer:
    """A layer of one model, probed: what its tensor looks like and what its units are."""

    spec: LayerSpec
    tower: str
    """``visual`` or ``text``."""
    kind: str
    """Class of the module, e.g. ``ReLU``."""
    layout: Layout
    unit_count: int
    is_rectified: bool
    """The module is a ReLU, or nothing below zero leaves it: half of the values carry no more."""
    prefix_tokens: int = 0
    """Tokens before the patches (the class token)."""
    grid: tuple[int, int] | None = None
    """Rows and columns of a feature map, or of the patches among an image tower's tokens; None if they are no
    grid."""
    token_count: int | None = None
    """Tokens of one example; None if the layer has none."""

    @property
    def name(self) -> str:
        """The canonical spec; the value of the column ``layer``."""
        return str(self.spec)

    @property
    def has_peaks(self) -> bool:
        """Whether an activation is the maximum of several positions."""
        return self.spec.pooling == "max" and self.layout != "flat"


def _hooked_tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor | None:
    values = (*args, *kwargs.values())
    return next((v for v in values if isinstance(v, torch.Tensor)), None)


def _with_first(values: tuple[Any, ...], new: torch.Tensor) -> tuple[Any, ...]:
    """The same values with another tensor in place of the first one."""
    place = next(n for n, value in enumerate(values) if isinstance(value, torch.Tensor))
    return (*values[:place], new, *values[place + 1 :])


@contextmanager
def hook_points(model: nn.Module, specs: list[LayerSpec], take: Any) -> Iterator[None]:
    """Call ``take(spec, tensor)`` on every pass of this thread through the named points.

    If it returns a tensor, that one goes on in place of what passed.

    Whoever holds the model's lock passes alone; a user of ``pipeline.load_clip`` in another thread may
    not hold it, and what passes then is not ours.
    """
    modules = dict(model.named_modules())
    handles = []
    owner = threading.get_ident()

    def is_ours() -> bool:
        return torch.compiler.is_compiling() or threading.get_ident() == owner

    def before(spec: LayerSpec) -> Any:
        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            new = take(spec, _hooked_tensor(args, kwargs)) if is_ours() else None
            if new is None:
                return None
            values = _with_first((*args, *kwargs.values()), new)
            named = dict(zip(kwargs, values[len(args) :], strict=True))
            return values[: len(args)], named

        return hook

    def after(spec: LayerSpec) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> Any:
            values = output if isinstance(output, tuple) else (output,)
            new = take(spec, _hooked_tensor(values, {})) if is_ours() else None
            if new is None:
                return None
            return _with_first(values, new) if isinstance(output, tuple) else new

        return hook

    try:
        for spec in specs:
            module = modules[spec.path]
            handles.append(
                module.register_forward_pre_hook(before(spec), with_kwargs=True)
                if spec.point == "input"
                else module.register_forward_hook(after(spec))
            )
        yield
    finally:
        for handle in handles:
            handle.remove()


def text_pooling(clip: Clip) -> tuple[str, int]:
    """How a text tower finds its end, and its end token; some models keep both in ``model.text``."""
    model = clip.model
    if hasattr(model, "text_pool_type"):
        return model.text_pool_type, model.text_eos_id
    return getattr(model.text, "pool_type", "all"), getattr(model.text, "eos_id", -1)


def end_positions(clip: Clip, tokens: torch.Tensor) -> torch.Tensor:
    """Index of each text's end token, int64 ``[N]``; tokens are int64 ``[N, L]``."""
    pool_type, end = text_pooling(clip)
    if pool_type == "eos":
        return torch.eq(tokens, end).int().argmax(dim=-1)
    if pool_type == "argmax":
        return tokens.argmax(dim=-1)
    return torch.full((len(tokens),), tokens.shape[1] - 1, device=tokens.device)


def positions_of(
    tensor: torch.Tensor, layer: Layer, ends: torch.Tensor | None = None
) -> torch.Tensor:
    """All activations, in reading order: ``[N, P, unit_count]``; what comes after a text's end is -infinity.

    Args:
        tensor: What passed the layer's point, in its layout, which is not ``flat``.
        layer: The probed layer.
        ends: For a text tower, each text's end token (:func:`end_positions`).
    """
    if layer.layout == "channels_first":
        return tensor.permute(0, 2, 3, 1).flatten(1, 2)
    if layer.layout == "channels_last":
        return tensor.flatten(1, 2)
    tokens = tensor.transpose(0, 1) if layer.layout == "tokens_first" else tensor
    if ends is None:
        return tokens
    outside = torch.arange(tokens.shape[1], device=tokens.device) > ends[:, None]
    return tokens.masked_fill(outside[..., None], -torch.inf)


def find_peaks(
    tensor: torch.Tensor, layer: Layer, ends: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The maximum of each example and unit, and its first position: both ``[N, unit_count]``.

    Positions are of the smallest type that holds them: uint8, int16 or int32. Arguments are those of
    `positions_of`.
    """
    positions = positions_of(tensor, layer, ends)
    values, places = _first_maximum(positions)
    last = positions.shape[1] - 1
    kind = torch.uint8 if last < 1 << 8 else torch.int16 if last < 1 << 15 else torch.int32
    return values, places.to(kind)


def _first_maximum(positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Maximum and its first place, along dimension 1 of ``[N, P, U]``.

    On a CPU a maximum that tells its place takes ten times as long as one that does not, but along memory. So
    the places that hold the maximum are asked for, the first counting most: a third of the time. Of a large
    map the stretch that holds it is found first, and the place within that alone.
    """
    _, count, units = positions.shape
    if positions.device.type != "cpu" or positions.stride(2) > 1:
        return positions.max(1)  # of equal ones the first, torch says
    if count < 1 << 8:
        values = positions.amax(1)
        counts_most = torch.arange(count, 0, -1, dtype=torch.uint8)[:, None]
        first = ((positions == values[:, None]) * counts_most).amax(1)
        return values, count - first.int().clamp_(min=1)  # NaN equals nothing: no place, so any
    whole = count - count % _STRETCH
    parted = positions[:, :whole].view(len(positions), -1, _STRETCH, units)
    stretches = [parted.amax(2)]
    if whole < count:
        stretches.append(positions[:, whole:].amax(1, keepdim=True))
    values, stretch = _first_maximum(torch.cat(stretches, 1))
    within = torch.arange(_STRETCH)[:, None]
    # the last one may end early: its last place again is never the first of equal ones
    places = (stretch[:, None].long() * _STRETCH + within).clamp_(max=count - 1)
    return values, stretch * _STRETCH + _first_maximum(positions.gather(1, places))[1]


def pool(tensor: torch.Tensor, layer: Layer, ends: torch.Tensor | None = None) -> torch.Tensor:
    """One activation per (example, unit): ``[N, unit_count]``, never a view of ``tensor``.

    Args:
        tensor: What passed the layer's point, in its layout.
        layer: The probed layer.
        ends: For a text tower, each text's end token (:func:`end_positions`).
    """
    pooling = layer.spec.pooling
    if layer.has_peaks:
        return find_peaks(tensor, layer, ends)[0]
    if layer.layout == "flat":
        return tensor.clone()
    if layer.layout in ("channels_first", "channels_last"):
        rows, columns = (2, 3) if layer.layout == "channels_first" else (1, 2)
        if pooling == "center":
            middle = tensor.select(columns, tensor.shape[columns] // 2)
            return middle.select(rows, tensor.shape[rows] // 2).clone()
        return tensor.mean((rows, columns))
    tokens = tensor.transpose(0, 1) if layer.layout == "tokens_first" else tensor
    count = tokens.shape[1]
    if ends is not None:
        if pooling == "cls":
            return tokens[torch.arange(len(tokens), device=tokens.device), ends]
        inside = torch.arange(count, device=tokens.device) <= ends[:, None]
        return (tokens * inside[..., None]).sum(1) / inside.sum(1, keepdim=True)
    if pooling == "cls":
        return tokens[:, 0].clone()
    if pooling == "center":
        assert layer.grid is not None  # probed
        rows, columns = layer.grid
        return tokens[:, layer.prefix_tokens + (rows // 2) * columns + columns // 2].clone()
    return tokens.mean(1)


class Capture:
    """Pooled activations of one forward pass, by layer name.

    Attributes:
        pooled: ``layer.name`` -> float ``[N, unit_count]``, overwritten by every pass.
        peaks: ``layer.name`` -> whole numbers ``[N, unit_count]`` of `find_peaks`, of layers that have peaks.
        ends: End tokens of the texts that are being encoded; set it before ``encode_text``.
    """

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        self.layers = {layer.spec: layer for layer in layers}
        self.pooled: dict[str, torch.Tensor] = {}
        self.peaks: dict[str, torch.Tensor] = {}
        self.ends: torch.Tensor | None = None

    def take(self, spec: LayerSpec, tensor: torch.Tensor | None) -> None:
        """Pool what passes a layer's point."""
        layer = self.layers[spec]
        assert tensor is not None  # probed
        ends = self.ends if layer.tower == "text" else None
        if layer.has_peaks:
            self.pooled[layer.name], self.peaks[layer.name] = find_peaks(tensor, layer, ends)
        else:
            self.pooled[layer.name] = pool(tensor, layer, ends)


@contextmanager
def capture_layers(clip: Clip, layers: tuple[Layer, ...]) -> Iterator[Capture]:
    """Hook the layers for as long as the context lasts; the model is left as it was.

    Its lock is held meanwhile: another extraction of the same process waits for its turn.
    """
    capture = Capture(layers)
    with clip.lock, hook_points(clip.model, [layer.spec for layer in layers], capture.take):
        yield capture
