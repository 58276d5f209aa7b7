"""Loading CLIP: name -> blueprint -> network -> weights, checked, once per process.

``model_id`` takes a name apart; ``setup`` finds out what the weights were trained with; ``weights``,
``checkpoint`` and ``fit`` find, read and load them; ``network`` builds and looks at what was built. What
runs is what the blueprint says, and whether weights were loaded is counted, not taken from the name.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import open_clip
import torch

from pipeline.base.errors import MissingDependencyError, ModelError, NeuronsError
from pipeline.clip.checkpoint import Checkpoint, read_checkpoint
from pipeline.clip.device import choose_device
from pipeline.clip.fit import load_weights
from pipeline.clip.model_id import (
    CONFIG_FILE,
    FOLDER_PREFIX,
    NANO,
    NANO_FOLDER,
    ModelId,
    parse_model_id,
)
from pipeline.clip.network import (
    build_network,
    find_towers,
    heed_open_clip,
    name_activations,
    require_transformers,
)
from pipeline.clip.setup import (
    Blueprint,
    Setup,
    describe_image,
    is_plain,
    read_config,
    resolve_config,
    resolve_file,
    resolve_random,
    resolve_tag,
)
from pipeline.clip.weights import fetch_hub, fetch_hub_config, fetch_tag, find_in_folder
from pipeline.tables.runs import ModelIdentity, ModelSetup

RANDOM_SEED = 0
"""Seed of ``ARCH:random``: the same architecture always gets the same weights."""


@dataclass(frozen=True)
class Clip:
    """A CLIP model, ready for inference.

    Attributes:
        model_id: ``architecture:pretrained``; a checkpoint by its name alone, since it may move.
        asked_for: The model as it was named, with the path of a checkpoint.
        model: An open_clip ``torch.nn.Module``, in evaluation mode, float32, without gradients.
        tokenizer: texts -> int64 ``[N, context_length]``.
        setup: What the weights were trained with, and the network is built with.
        activations: Activation functions that were found in the tower ``visual`` and in ``text``.
        weights_sha256: Hash over names, shapes and bytes of all weights.
        is_plain: Whether open_clip's ``create_model`` sets it up alike when it is told nothing more.
        is_random: Whether no weights were loaded: they are seeded noise and its neurons mean nothing.
        device: Where the model lives.
        lock: Held by whoever runs the model: hooks see every pass, so two users take turns.
    """

    model_id: str
    asked_for: str
    model: Any
    tokenizer: Callable[[list[str]], torch.Tensor]
    setup: Setup
    activations: dict[str, str]
    weights_sha256: str
    is_plain: bool
    is_random: bool
    device: torch.device
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    @property
    def preprocess(self) -> Callable[[Any], torch.Tensor]:
        """open_clip's own transform, PIL image -> float32 ``[3, H, W]``."""
        return self.setup.image.transform

    def identity(self) -> ModelIdentity:
        """All that decides what the model computes, as it stands in ``run.json``."""
        return {
            "model_id": self.model_id,
            "weights_sha256": self.weights_sha256,
            **self.setup_fields(),
        }

    def setup_fields(self) -> ModelSetup:
        """How the model runs its weights."""
        image = self.setup.image
        return {
            "image_activation": self.activations["visual"],
            "text_activation": self.activations["text"],
            "image_size_px": list(image.size_px),
            "image_mean": list(image.mean),
            "image_std": list(image.std),
            "interpolation": image.interpolation,
            "resize_mode": image.resize_mode,
            "fill_color": image.fill_color,
        }


def describe_model(clip: Clip) -> str:
    """How a model is set up, and who says so, for a person."""
    noise = " (RANDOM weights)" if clip.is_random else ""
    return (
        f"Model {clip.model_id}{noise}, set up as in {clip.setup.said_by}\n"
        f"  activation functions: {clip.activations['visual']} in the image tower, "
        f"{clip.activations['text']} in the text tower\n"
        f"  images: {describe_image(clip.setup.image)}"
    )


def hash_weights(model: torch.nn.Module) -> str:
    """SHA-256 (hex) over the sorted names, types, shapes and bytes of a model's state."""
    total = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        total.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        total.update(flat.view(torch.uint8).numpy().data)
    return total.hexdigest()


_LOADED: dict[tuple[str, str], Clip] = {}
_LOADING = threading.Lock()


def load_clip(model_id: str, device: str = "cpu") -> Clip:
    """Load a model once per process.

    Args:
        model_id: See ``model_id``: ``nano`` (embedded), ``ARCH:TAG``, ``ARCH:TAG@/path/to/file``,
            ``ARCH:/path/to/file``, ``ARCH:random``, ``hf-hub:ORG/NAME`` or ``local-dir:/path``.
        device: See :func:`choose_device`.

    Raises:
        ModelError: An unknown name, a failed download, weights that do not fit, or nothing says what
            they were trained with.
        MissingDependencyError: It needs ``transformers``.
        DeviceError: The device is not there.
    """
    place = choose_device(device)
    name = parse_model_id(model_id)
    with _LOADING:
        key = (f"{model_id}\0{_stamp(name)}", str(place))
        if key not in _LOADED:
            _LOADED.clear()  # one model at a time: a second would only take memory
            _LOADED[key] = _load(name, place)
        return _LOADED[key]


def _stamp(name: ModelId) -> str:
    """Changes when a file that the model is made of changes."""
    paths: list[Path] = []
    if name.source == "file":
        paths = [Path(name.file), Path(name.file).parent / CONFIG_FILE]
    elif name.source == "folder" and name.arch != NANO:
        folder = Path(name.arch.removeprefix(FOLDER_PREFIX))
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return "".join(
        f"{path.name} {path.stat().st_mtime_ns} {path.stat().st_size} "
        for path in paths
        if path.is_file()
    )


def _load(name: ModelId, place: torch.device) -> Clip:
    blueprint, checkpoint = _resolve(name)
    try:
        with heed_open_clip(name.text), torch.random.fork_rng(devices=[]):
            torch.manual_seed(RANDOM_SEED)
            model: Any = build_network(blueprint)
            loaded = load_weights(model, checkpoint, name) if checkpoint else 0
            tokenizer = _make_tokenizer(name)
    except NeuronsError:
        raise
    except Exception as error:  # whatever open_clip, timm or transformers raise
        raise ModelError(
            f"open_clip cannot build {name.text!r}: {' '.join(str(error).split())[:300]}",
            "Its configuration may be made for another version of open_clip or timm.",
        ) from error
    return Clip(
        model_id=name.model_id,
        asked_for=name.text,
        model=model.to(place, memory_format=torch.channels_last),
        tokenizer=tokenizer,
        setup=blueprint.setup,
        activations={tower: name_activations(m) for tower, m in find_towers(model).items()},
        weights_sha256=hash_weights(model),
        is_plain=is_plain(name, blueprint),
        is_random=loaded == 0,
        device=place,
    )


def _resolve(name: ModelId) -> tuple[Blueprint, Checkpoint | None]:
    """What to build, and the weights that go into it; None only if seeded noise was asked for."""
    if name.source == "random":
        return resolve_random(name.arch), None
    if name.source == "tag":
        return resolve_tag(name.arch, name.tag), _read_download(fetch_tag(name))
    if name.source == "hub":
        config = fetch_hub_config(name)
        blueprint = resolve_config(config, f"{CONFIG_FILE} of {name.text}")
        return blueprint, _read_download(fetch_hub(name))
    if name.source == "file":
        checkpoint = read_checkpoint(name.file)
        return resolve_file(name, checkpoint.says_quick_gelu), checkpoint
    folder = NANO_FOLDER if name.arch == NANO else Path(name.arch.removeprefix(FOLDER_PREFIX))
    config_file = folder / CONFIG_FILE
    if not config_file.is_file():
        raise ModelError(
            f"The folder {str(folder)!r} has no {CONFIG_FILE}."
            if folder.is_dir()
            else f"There is no folder {str(folder)!r} (model {name.text!r}).",
            f"local-dir: names a folder with {CONFIG_FILE} and weights; for a file alone, write "
            "ARCH:TAG@/path/to/file.",
        )
    where = f"{CONFIG_FILE} of {name.text}"
    blueprint = resolve_config(read_config(config_file, where), where)
    return blueprint, read_checkpoint(find_in_folder(name, folder))


def _read_download(path: str) -> Checkpoint:
    try:
        return read_checkpoint(path)
    except ModelError as error:
        raise ModelError(
            error.message, "Delete that file: the next call downloads it again."
        ) from error


def _make_tokenizer(name: ModelId) -> Any:
    try:
        return _create_tokenizer(name.arch)
    except ImportError:
        require_transformers(f"The tokenizer of {name.text!r}")
        raise
    except MissingDependencyError:
        raise
    except Exception as error:
        raise ModelError(
            f"The tokenizer of {name.text!r} cannot be made: {' '.join(str(error).split())[:300]}",
            "Check the network: the tokenizers of some models are downloaded apart from the weights.",
        ) from error


def _create_tokenizer(arch: str) -> Any:
    if arch == NANO:
        folder = f"{FOLDER_PREFIX}{NANO_FOLDER}"
        return open_clip.get_tokenizer(folder, bpe_path=str(NANO_FOLDER / "bpe.txt.gz"))
    return open_clip.get_tokenizer(arch)
