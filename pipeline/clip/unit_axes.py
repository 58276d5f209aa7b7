"""Which axis of a tensor holds the units: followed through the arithmetic of a forward pass.

A tensor of shape ``[2, 16, 24, 96]`` may be 16 channels on a map of 24 x 96 or 96 channels on a map of
16 x 24; its sizes do not say which. The operations do: a convolution writes its channels to axis 1, a
linear layer to the last one, a permutation moves them, and adding or rectifying leaves them where they
are. ``UnitAxes`` watches the operations of torch while a model runs and keeps the axis of every tensor
that lives; where an operation is unknown, so is the axis, until the next layer with weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

FIRST = {"conv1d", "conv2d", "conv3d", "batch_norm", "group_norm", "instance_norm"}
"""They write units to axis 1."""

LAST = {"linear", "layer_norm", "rms_norm", "embedding", "multi_head_attention_forward"}
LAST |= {"_native_multi_head_attention"}
"""They write units to the last axis."""

MATMUL = {"matmul", "__matmul__"}
RESHAPE = {"reshape", "view", "flatten", "unflatten", "view_as", "reshape_as"}
RESHAPE |= {"squeeze", "unsqueeze"}
SLICE = {"chunk", "split", "narrow", "tensor_split", "__getitem__", "cat", "concat"}
"""They leave axes in their order, and may change the number of units."""


class UnitAxes(TorchFunctionMode):
    """Within the context, the axis of the units of every tensor that torch's functions make."""

    def __init__(self) -> None:
        super().__init__()
        self._axes: Any = WeakIdKeyDictionary()

    def mark(self, tensor: torch.Tensor, axis: int) -> None:
        """Say where the units of a tensor are that comes from outside."""
        self._axes[tensor] = axis

    def of(self, tensor: torch.Tensor) -> int | None:
        """The axis of a tensor's units, from 0; None if it is not known."""
        axis: int | None = self._axes.get(tensor)
        return axis

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run an operation of torch, and note what it did to the axis."""
        kwargs = kwargs or {}
        before = [
            (t, t.ndim, tuple(t.shape), self.of(t)) for t in _tensors((args, kwargs.values()))
        ]
        out = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        for tensor in _tensors(out if isinstance(out, (tuple, list)) else (out,)):
            axis = self._axis(name, tensor, before)
            if axis is not None:
                self._axes[tensor] = axis
            elif tensor in self._axes:  # changed in place by something unknown
                del self._axes[tensor]
        return out

    def _axis(self, name: str, out: torch.Tensor, given: list[Any]) -> int | None:
        if name in FIRST:
            return 1
        if name in LAST or (name in MATMUL and len(given) == 2 and given[1][1] == 2):
            return out.ndim - 1
        known = [(shape, axis) for _, _, shape, axis in given if axis is not None]
        if not known:
            return None
        if name in ("permute", "transpose", "movedim", "swapaxes"):
            return _moved(given[0][0], out, known[0][1])
        if name in RESHAPE:
            return _reshaped(known[0][0], tuple(out.shape), known[0][1])
        kept = {
            axis
            for shape, axis in known
            if len(shape) == out.ndim and (name in SLICE or shape[axis] == out.shape[axis])
        }
        return kept.pop() if len(kept) == 1 else None


def axis_read_by(module: nn.Module, tensor: torch.Tensor) -> int | None:
    """The axis that a module with weights takes for the units of its input."""
    if isinstance(module, nn.Linear):
        return tensor.ndim - 1
    first = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)
    return 1 if isinstance(module, first) else None


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (tuple, list)) or type(value).__name__ == "dict_values":
            yield from _tensors(value)


def _moved(before: torch.Tensor, out: torch.Tensor, axis: int) -> int | None:
    """Where an axis is after a permutation: a view whose stride and size moved along."""
    where = (before.stride(axis), before.shape[axis])
    found = [i for i in range(out.ndim) if (out.stride(i), out.shape[i]) == where]
    return found[0] if len(found) == 1 else None


def _reshaped(before: tuple[int, ...], after: tuple[int, ...], axis: int) -> int | None:
    """Where an axis is after a reshape: what comes before it, and its size, must be the same."""
    for i, size in enumerate(after):
        if size == before[axis] and math.prod(after[:i]) == math.prod(before[:axis]):
            return i
    return None
