"""What the name of a model says: architecture, tag, file, folder or hub.

==========================  ==========================================================================
``nano``                    the embedded model; ``nano:random`` is its architecture, untrained
``ARCH:TAG``                weights that open_clip knows, as in ``RN50x4:openai``; they are downloaded
``ARCH:TAG@/path``          weights of a file, set up as that tag
``ARCH:/path``              weights of a file; what they were trained with must be found out (``setup``)
``ARCH:random``             the architecture with seeded noise
``hf-hub:ORG/NAME``         a repository with ``open_clip_config.json`` on the Hugging Face hub
``local-dir:/path``         a folder with ``open_clip_config.json`` and weights
==========================  ==========================================================================
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import open_clip

from pipeline.base.errors import ModelError

RANDOM = "random"
NANO = "nano"
HUB_PREFIX, FOLDER_PREFIX = "hf-hub:", "local-dir:"
CONFIG_FILE = "open_clip_config.json"
"""Architecture and preprocessing, as open_clip writes them beside weights."""

MODELS_FOLDER = Path(__file__).parent / "architectures"
NANO_FOLDER = Path(__file__).parent.parent / "nano"
"""The embedded model: a small CLIP of our own, with planted neurons; see its MODEL_CARD.md."""

Source = Literal["folder", "hub", "tag", "file", "random"]


@dataclass(frozen=True)
class ModelId:
    """A model as it was named, taken apart."""

    text: str
    """As it was written."""
    source: Source
    """Where the weights come from."""
    arch: str
    """open_clip's name of the architecture; ``nano``; or the whole name of a folder or hub."""
    tag: str = ""
    """A tag of the architecture, in open_clip's spelling."""
    file: str = ""
    """Path of a file with weights."""

    @property
    def model_id(self) -> str:
        """The name without the path of a file, which may move."""
        if not self.file:
            return self.text
        tag = f"{self.tag}@" if self.tag else ""
        return f"{self.arch}:{tag}{Path(self.file).name}"


@cache
def register_models() -> None:
    """Let open_clip know the architectures of this package."""
    open_clip.add_model_config(MODELS_FOLDER)


def parse_model_id(text: str) -> ModelId:
    """Take the name of a model apart. Nothing is downloaded and no weights are read.

    Raises:
        ModelError: No such architecture, tag or file; the closest are named.
    """
    register_models()
    if text == NANO:
        return ModelId(text, "folder", NANO)
    if text in (HUB_PREFIX, FOLDER_PREFIX):
        raise ModelError(
            f"Model {text!r} names nothing.",
            "Write hf-hub:ORGANISATION/NAME, or local-dir:/path/to/folder.",
        )
    if text.startswith(HUB_PREFIX):
        return ModelId(text, "hub", text)
    if text.startswith(FOLDER_PREFIX):
        return ModelId(text, "folder", FOLDER_PREFIX + _expand(text.removeprefix(FOLDER_PREFIX)))
    arch, _, weights = text.partition(":")
    if arch == NANO and weights == RANDOM:
        return ModelId(text, "random", NANO)
    known = open_clip.list_models()
    if arch not in known:
        close = difflib.get_close_matches(arch, known, n=3, cutoff=0.4) or known[:3]
        raise ModelError(
            f"open_clip has no architecture {arch!r} (model {text!r}).",
            f"Closest: {', '.join(map(repr, close))}. Write nano, or ARCH:TAG as in RN50x4:openai.",
        )
    tags = list_tags(arch)
    if not weights:
        raise ModelError(
            f"Model {text!r} does not say which weights.",
            (f"Write {arch}:TAG with a tag of {', '.join(tags)}; " if tags else "Write ")
            + f"{arch}:/path/to/checkpoint, or {arch}:random.",
        )
    if weights == RANDOM:
        return ModelId(text, "random", arch)
    if (tag := clean_tag(weights)) in tags:
        return ModelId(text, "tag", arch, tag)
    head, at, file = weights.partition("@")
    if at and not file:
        raise ModelError(
            f"Model {text!r} names no file after the @.",
            f"Write {arch}:{head}, or {text}/path/to/file.",
        )
    if at and (tag := clean_tag(head)) in tags:
        return ModelId(text, "file", arch, tag, _existing(arch, _expand(file)))
    if _is_there(_expand(weights)):
        return ModelId(text, "file", arch, file=_expand(weights))
    raise _no_such_weights(arch, weights)


def list_tags(arch: str) -> list[str]:
    """Tags of an architecture that open_clip has weights for."""
    return list(open_clip.list_pretrained_tags_by_model(arch))


def clean_tag(tag: str) -> str:
    """A tag in open_clip's spelling."""
    return tag.lower().replace("-", "_")


def _expand(path: str) -> str:
    """A path with the home folder in place of ``~``: behind a colon, no shell puts it in."""
    return str(Path(path).expanduser()) if path.startswith("~") else path


def _is_there(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # a folder above it cannot be read, or this is no path
        return False


def _existing(arch: str, file: str) -> str:
    if not _is_there(file):
        raise ModelError(
            f"There is no file {file!r} with weights for {arch}.", "Give the path of the file."
        )
    return file


def _no_such_weights(arch: str, weights: str) -> ModelError:
    others = open_clip.list_pretrained_models_by_tag(weights.partition("@")[0])
    twin = arch.removesuffix("-quickgelu")
    if (
        twin != arch and twin in others
    ):  # -quickgelu has no such tag: these weights were trained without
        return ModelError(
            f"The weights {weights.partition('@')[0]!r} were not trained with QuickGELU, which "
            f"{arch} uses.",
            f"Write {twin}:{weights}.",
        )
    tags = list_tags(arch)
    return ModelError(
        f"{arch} has no pretrained weights {weights!r}, and there is no such file.",
        f"Tags of {arch}: {', '.join(tags) or 'none'}; or {arch}:/path/to/checkpoint; "
        + (f"or {arch}:{tags[0]}@/path/to/checkpoint; " if tags else "")
        + f"or {arch}:random.",
    )
