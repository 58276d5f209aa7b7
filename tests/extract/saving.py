"""Checkpoints of a small model, saved in the ways of others."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ARCH = "ViT-small"
State = dict[str, torch.Tensor]


def before(prefix: str) -> Callable[[State], State]:
    return lambda state: {prefix + name: tensor for name, tensor in state.items()}


def script(model: torch.nn.Module, file: Path, *traced: torch.Tensor) -> None:
    with warnings.catch_warnings():  # torch would have people use torch.export
        warnings.simplefilter("ignore")
        made = (
            torch.jit.trace(model, traced, check_trace=False) if traced else torch.jit.script(model)
        )
        torch.jit.save(made, file)


def hostile(*call: Any) -> bytes:
    class Call:
        def __reduce__(self) -> Any:
            return call

    return pickle.dumps(Call(), protocol=2)
