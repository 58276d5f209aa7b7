"""Building the network of a blueprint, and looking at what was built.

The classes are open_clip's; which of them, its ``create_model`` decides in the same way. It is not used
itself because it cannot be told what a tag says (it warns and goes on with another activation function),
and goes on with random weights where it finds none.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

import open_clip
from open_clip.hf_model import HFTextEncoder
from open_clip.timm_model import TimmModel
from open_clip.transformer import QuickGELU
from torch import nn

from pipeline.base.errors import MissingDependencyError, ModelError
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.setup import Blueprint

OPEN_CLIP_FOLDER = str(Path(open_clip.__file__).parent)
GATES = (nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax, nn.Softmax2d, nn.Softmin)
"""In torch's module of activation functions, and none."""


def build_network(blueprint: Blueprint) -> nn.Module:
    """The network of a blueprint with weights as torch initialises them, in evaluation mode.

    Raises:
        MissingDependencyError: Its text tower is made by ``transformers``.
        ModelError: open_clip cannot build it, or built another than the blueprint's.
    """
    config = deepcopy(blueprint.config)
    is_foreign_text = bool(config["text_cfg"].get("hf_model_name"))
    if is_foreign_text:
        require_transformers("Its text tower")
    # No weights of one tower from elsewhere: all come from one file.
    config["text_cfg"] |= {"hf_model_pretrained": False} if is_foreign_text else {}
    if config["vision_cfg"].get("timm_model_name"):
        config["vision_cfg"]["timm_model_pretrained"] = False
    is_custom = config.pop("custom_text", False) or is_foreign_text
    kind = open_clip.CLIP
    if is_custom:
        kind = open_clip.CoCa if "multimodal_cfg" in config else open_clip.CustomTextCLIP
    model: nn.Module = kind(**config)
    image = blueprint.setup.image
    open_clip.set_model_preprocess_cfg(
        model,
        {
            "size": image.size_px,
            "mode": "RGB",
            "mean": image.mean,
            "std": image.std,
            "interpolation": image.interpolation,
            "resize_mode": image.resize_mode,
            "fill_color": image.fill_color,
        },
    )
    _verify(model, blueprint)
    return model.eval().requires_grad_(False)


def require_transformers(what: str) -> None:
    """Refuse to go on without the package ``transformers``.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import_module("transformers")
    except ImportError as error:
        raise MissingDependencyError(
            f"{what} needs the package transformers, which is not installed.",
            "Install it: pip install 'multimodal-neurons[hf]'",
        ) from error


def find_towers(model: Any) -> dict[str, list[nn.Module]]:
    """The modules of the image tower and of the text tower."""
    text = getattr(model, "text", None)
    return {"visual": [model.visual], "text": [model.transformer if text is None else text]}


def name_activations(modules: list[nn.Module]) -> str:
    """The activation functions of a tower: ``QuickGELU``; several by name, joined by ``+``."""
    found = {_name(m) for top in modules for m in top.modules() if _is_activation(m)}
    return "+".join(sorted(found)) or "none"


def _is_activation(module: nn.Module) -> bool:
    home = type(module).__module__
    return isinstance(module, QuickGELU) or (
        (
            home.startswith(("torch.nn.modules.activation", "timm.layers.activations"))
            or home == "transformers.activations"
        )
        and not isinstance(module, GATES)
    )


def _name(module: nn.Module) -> str:
    name = type(module).__name__
    return f"{name}(tanh)" if getattr(module, "approximate", "none") == "tanh" else name


def _verify(model: Any, blueprint: Blueprint) -> None:
    """Compare what was built with what was asked for, by looking at its modules."""
    setup = blueprint.setup
    if (built := ImageSpec.from_model(model)) != setup.image:
        raise ModelError(
            f"open_clip prepares images by {built}, not by {setup.image} ({setup.said_by}).",
            "This open_clip is newer than what was tested; see constraints.txt.",
        )
    for tower, modules in find_towers(model).items():
        foreign = any(isinstance(m, (TimmModel, HFTextEncoder)) for m in modules)
        for module in () if foreign else [m for top in modules for m in top.modules()]:
            if isinstance(module, nn.GELU if setup.quick_gelu else QuickGELU):
                raise ModelError(
                    f"open_clip built a {tower} tower with {type(module).__name__}; {setup.said_by} "
                    f"says {'QuickGELU' if setup.quick_gelu else 'GELU'}.",
                    "Its architecture fixes the activation function: name another one.",
                )


class _Listener(logging.Handler):
    """Keeps what open_clip warns of; other libraries' lines are left to the handlers that are there."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.pathname.startswith(OPEN_CLIP_FOLDER):
            self.lines.append(record.getMessage())


@contextmanager
def heed_open_clip(model_id: str) -> Iterator[None]:
    """Within the context, what open_clip warns of in a log line is an error.

    Raises:
        ModelError: With the lines.
    """
    listener, root = _Listener(), logging.getLogger()
    root.addHandler(listener)
    try:
        yield
    finally:
        root.removeHandler(listener)
    if listener.lines:
        raise ModelError(
            f"open_clip is not sure of {model_id}: {' '.join(listener.lines)[:400]}",
            "What it warns of would decide what is computed: name what was meant.",
        )
