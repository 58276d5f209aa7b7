"""Loading CLIP: any model that open_clip knows, from a tag, a checkpoint file, or seeded at random."""

from __future__ import annotations

import difflib
import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import open_clip
import torch

from pipeline.errors import DeviceError, ModelError

RANDOM = "random"
RANDOM_SEED = 0
"""Seed of ``ARCH:random``: the same architecture always gets the same weights."""

MODELS_FOLDER = Path(__file__).parent.parent / "models"
NANO = "nano"
NANO_FOLDER = Path(__file__).parent.parent / "nano"
"""The embedded model: a small CLIP of our own, with planted neurons; see its MODEL_CARD.md."""


@dataclass(frozen=True)
class Clip:
    """A CLIP model, ready for inference.

    Attributes:
        model_id: ``architecture:pretrained``; a checkpoint by its name alone, since it may move.
        asked_for: The model as it was named, with the path of a checkpoint.
        model: An open_clip ``torch.nn.Module``, in evaluation mode, float32, without gradients.
        preprocess: open_clip's own transform, PIL image -> float32 ``[3, H, W]``.
        tokenizer: texts -> int64 ``[N, context_length]``.
        weights_sha256: Hash over names, shapes and bytes of all weights.
        is_random: Whether the weights are seeded noise and its neurons therefore mean nothing.
        device: Where the model lives.
    """

    model_id: str
    asked_for: str
    model: Any
    preprocess: Callable[[Any], torch.Tensor]
    tokenizer: Callable[[list[str]], torch.Tensor]
    weights_sha256: str
    is_random: bool
    device: torch.device


@cache
def _register_models() -> None:
    open_clip.add_model_config(MODELS_FOLDER)


def split_model_id(model_id: str) -> tuple[str, str]:
    """Split ``ARCH:PRETRAINED`` into its two parts; ``nano`` and ``hf-hub:`` names have no second.

    ``nano:random`` is nano's architecture, untrained.

    Raises:
        ModelError: There is no ``:``, or no such architecture; the closest are named.
    """
    _register_models()
    if model_id == NANO or model_id.startswith(("hf-hub:", "local-dir:")):
        return model_id, ""
    arch, _, pretrained = model_id.partition(":")
    if arch == NANO and pretrained == RANDOM:
        return arch, pretrained
    known = open_clip.list_models()
    if arch not in known:
        close = difflib.get_close_matches(arch, known, n=3, cutoff=0.4) or known[:3]
        raise ModelError(
            f"open_clip has no architecture {arch!r} (model {model_id!r}).",
            f"Closest: {', '.join(map(repr, close))}. Write nano, or ARCH:PRETRAINED as in RN50x4:openai.",
        )
    if not pretrained:
        tags = open_clip.list_pretrained_tags_by_model(arch)
        raise ModelError(
            f"Model {model_id!r} does not say which weights.",
            f"Write {arch}:TAG with a tag of {tags}, {arch}:/path/to/checkpoint, or {arch}:random.",
        )
    return arch, pretrained


def choose_device(device: str) -> torch.device:
    """The torch device of a name; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        DeviceError: It was named and is not there. It is never replaced in silence.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise DeviceError(
            f"{device!r} is not a device.", "Use cpu, cuda, cuda:1, mps or auto."
        ) from error
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (chosen.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(chosen.type, False):
        raise DeviceError(
            f"Device {device!r} is not available on this machine "
            f"(torch {torch.__version__}, {torch.cuda.device_count()} CUDA devices).",
            "Check the driver and that torch is a CUDA build, or run with --device cpu.",
        )
    return chosen


def hash_weights(model: torch.nn.Module) -> str:
    """SHA-256 (hex) over the sorted names, types, shapes and bytes of a model's state."""
    total = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        total.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        total.update(flat.view(torch.uint8).numpy().data)
    return total.hexdigest()


def _create(arch: str, pretrained: str) -> tuple[Any, Any]:
    weights = None if pretrained in ("", RANDOM) else pretrained
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        model, _, preprocess = open_clip.create_model_and_transforms(
            _place(arch),
            pretrained=weights,
            load_weights=pretrained != RANDOM,
            pretrained_text=False,
        )
    return model, preprocess


def _place(arch: str) -> str:
    """What open_clip calls an architecture: nano is a folder of this package."""
    return f"local-dir:{NANO_FOLDER}" if arch == NANO else arch


def _create_tokenizer(arch: str) -> Any:
    if arch == NANO:
        return open_clip.get_tokenizer(_place(arch), bpe_path=str(NANO_FOLDER / "bpe.txt.gz"))
    return open_clip.get_tokenizer(arch)


def _explain(model_id: str, pretrained: str, error: Exception) -> ModelError:
    """Say which of the three things went wrong: the tag, the download, or the fit."""
    arch = model_id.partition(":")[0]
    text = str(error)
    if pretrained and Path(pretrained).exists():
        seen = " ".join(text.split())[:300]
        if "Weights only load failed" in text:  # torch's advice would run code from the file
            seen = "torch finds more in it than weights, or it is no checkpoint at all."
        return ModelError(
            f"Checkpoint {pretrained!r} does not fit {arch}: {seen}",
            f"Name the architecture it was trained with, or see its keys with torch.load. "
            f"Layers of {arch}: neurons layers {arch}:random",
        )
    tags = open_clip.list_pretrained_tags_by_model(arch)
    if pretrained in tags or model_id.startswith("hf-hub:"):
        return ModelError(
            f"The weights of {model_id!r} could not be downloaded: {' '.join(text.split())[:200]}",
            f"Check the network, or fetch the file elsewhere and give {arch}:/path/to/checkpoint.",
        )
    return ModelError(
        f"{arch} has no pretrained weights {pretrained!r}, and there is no such file.",
        f"Tags of {arch}: {', '.join(tags) or 'none'}; or {arch}:/path/to/checkpoint; or {arch}:random.",
    )


_LOADED: dict[tuple[str, str], Clip] = {}
_LOADING = threading.Lock()


def load_clip(model_id: str, device: str = "cpu") -> Clip:
    """Load a model once per process.

    Args:
        model_id: ``nano`` (embedded), ``ARCH:pretrained_tag``, ``ARCH:/path/to/checkpoint``,
            ``ARCH:random`` (also ``nano:random``), or ``hf-hub:organisation/name``.
        device: See :func:`choose_device`.

    Raises:
        ModelError: Unknown architecture or tag, failed download, or a checkpoint that does not fit.
        DeviceError: The device is not there.
    """
    place = choose_device(device)
    arch, pretrained = split_model_id(model_id)
    file = Path(pretrained)
    stamp = str(file.stat().st_mtime_ns) if pretrained and file.is_file() else ""
    with _LOADING:
        key = (model_id + stamp, str(place))
        if key in _LOADED:
            return _LOADED[key]
        _LOADED.clear()  # one model at a time: a second would only take memory
        root, level = logging.getLogger(), logging.getLogger().level
        root.setLevel(logging.CRITICAL)  # open_clip logs to the root what we raise or record
        try:
            model, preprocess = _create(arch, pretrained)
            tokenizer = _create_tokenizer(arch)
        except Exception as error:
            raise _explain(model_id, pretrained, error) from error
        finally:
            root.setLevel(level)
        model.eval().requires_grad_(False)
        clip = Clip(
            model_id=f"{arch}:{file.name}" if stamp else model_id,
            asked_for=model_id,
            model=model.to(place, memory_format=torch.channels_last),
            preprocess=preprocess,
            tokenizer=tokenizer,
            weights_sha256=hash_weights(model),
            is_random=pretrained == RANDOM,
            device=place,
        )
        _LOADED[key] = clip
        return clip
