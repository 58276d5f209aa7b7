"""Weights of every form that people save are the same weights."""

from __future__ import annotations

import argparse
import collections
import datetime
import pathlib
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from saving import ARCH, State, before

from pipeline.clip.model import load_clip


def inside(state: State) -> State:
    """torch.compile of the image tower alone."""
    return {name.replace("visual.", "visual._orig_mod."): t for name, t in state.items()}


OPTIMIZER = {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(3)}}}
FORMS: dict[str, Callable[[State], Any]] = {
    "DataParallel": before("module."),
    "compiled": before("_orig_mod."),
    "both": before("module._orig_mod."),
    "both the other way": before("_orig_mod.module."),
    "FSDP": before("_fsdp_wrapped_module."),
    "a compiled tower": inside,
    "open_clip's training": lambda s: {
        "epoch": 3, "name": "run", "state_dict": before("module.")(s), "optimizer": OPTIMIZER,
    },
    "Lightning": lambda s: {"state_dict": before("model.")(s), "pytorch-lightning_version": "2"},
    "Lightning, compiled": lambda s: {"state_dict": before("model._orig_mod.")(s)},
    "a wrapper in a wrapper": lambda s: before("net.clip.model.")(s),
    "model": lambda s: {"model": s, "args": argparse.Namespace(lr=1.0, betas=(0.9, 0.98))},
    "model_state_dict": lambda s: {"model_state_dict": s, "optimizer_state_dict": OPTIMIZER},
    "two levels": lambda s: {"checkpoint": {"model": s}},
    "the same weights twice": lambda s: {"model": s, "model_ema": {k: v.clone() for k, v in s.items()}},
    "NumPy scalars": lambda s: {
        "best": np.float64(0.5), "step": np.int64(3), "name": np.str_("x"), "state_dict": s,
    },
    "a NumPy array": lambda s: {"losses": np.arange(3.0), "state_dict": s},
    "a path": lambda s: {"folder": pathlib.PurePosixPath("/a"), "home": Path("/b"), "state_dict": s},
    "logs": lambda s: {
        "losses": collections.defaultdict(list, train=[1.0]), "last": collections.deque([1, 2]),
        "at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), "state_dict": s,
    },
    "versions and sets": lambda s: {
        "torch": torch.__version__, "frozen": frozenset({"a"}), "range": range(3), "state_dict": s,
    },
    "parameters": lambda s: {k: torch.nn.Parameter(v) for k, v in s.items()},
    "DeepSpeed": lambda s: {"module": s, "global_step": 3},
    "a namespace": lambda s: {"args": types.SimpleNamespace(a=1), "state_dict": s},
    "an average": lambda s: {**before("module.")(s), "n_averaged": torch.tensor(3)},
    "numbers of OpenAI's": lambda s: {**s, "input_resolution": torch.tensor(48)},
    "scalars as rows": lambda s: {**s, "logit_scale": s["logit_scale"].reshape(1)},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_wrapped_weights_are_the_same_weights(
    form: str, is_zip: bool, state: State, sha256: str, tmp_path: Path
) -> None:
    file = tmp_path / "w.pt"
    torch.save(FORMS[form](state), file, _use_new_zipfile_serialization=is_zip)
    clip = load_clip(f"{ARCH}:{file}")
    assert clip.weights_sha256 == sha256
    assert not clip.is_random


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("ending", ["pt", "safetensors", "bin"])
def test_other_types_and_endings(
    dtype: torch.dtype, ending: str, state: State, tmp_path: Path
) -> None:
    """What a file is, its bytes say: any of the two forms under any name."""
    cast = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
    for n, save in enumerate((torch.save, save_file)):
        file = tmp_path / f"{n}.{ending}"
        save(cast, file)
        loaded = load_clip(f"{ARCH}:{file}").model.state_dict()
        assert all(torch.equal(loaded[name], cast[name].to(torch.float32)) for name in state)
