"""Where the weights of a model are: the hub's cache, a folder, a file."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import open_clip
from open_clip import factory

from pipeline.base.errors import ModelError
from pipeline.clip.checkpoint import JOIN
from pipeline.clip.model_id import FOLDER_PREFIX, HUB_PREFIX, ModelId

PREFERRED = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
)
"""Names that open_clip looks for in a folder, best first."""

# The hub's client writes by a handler of its own what ours writes as well: each line twice, and unescaped.
_HUB_LOG = logging.getLogger("huggingface_hub")
for _handler in tuple(_HUB_LOG.handlers):
    _HUB_LOG.removeHandler(_handler)

ENDINGS = (".safetensors", ".bin", ".pth", ".pt")


def fetch_tag(name: ModelId) -> str:
    """The file of a tag's weights, downloaded if it is not in the cache.

    Raises:
        ModelError: It could not be downloaded.
    """
    try:
        path = factory.download_pretrained(open_clip.get_pretrained_cfg(name.arch, name.tag))
    except Exception as error:  # whatever the hub's client, urllib or a proxy raises
        raise ModelError(
            f"The weights of {name.text!r} could not be downloaded: {_shorten(error)}",
            f"Check the network, or fetch the file elsewhere and give {name.text}@/path/to/file.",
        ) from error
    if not path:
        raise ModelError(
            f"open_clip knows {name.text!r}, and no place to download it from.",
            f"Fetch the file elsewhere and give {name.text}@/path/to/file.",
        )
    return str(path)


def fetch_hub_config(name: ModelId) -> Any:
    """``open_clip_config.json`` of a repository on the hub.

    Raises:
        ModelError: It could not be fetched, or the repository has none.
    """
    repository = name.text.removeprefix(HUB_PREFIX)
    try:
        return factory._get_hf_config(repository)
    except json.JSONDecodeError as error:
        raise ModelError(
            f"The configuration of {name.text!r} is not JSON: {error}.", "Ask who published it."
        ) from error
    except Exception as error:
        raise ModelError(
            f"The configuration of {name.text!r} could not be fetched: {_shorten(error)}",
            "Check the name, the network and, for a closed repository, the login (hf auth login). The "
            "repository must hold open_clip_config.json: those with config.json alone are made for "
            "transformers, not for open_clip.",
        ) from error


def fetch_hub(name: ModelId) -> str:
    """The file of a repository's weights, downloaded if it is not in the cache.

    Raises:
        ModelError: It could not be downloaded, or there is none.
    """
    try:
        return str(factory.download_pretrained_from_hf(name.text.removeprefix(HUB_PREFIX)))
    except Exception as error:
        raise ModelError(
            f"The configuration of {name.text!r} arrived, its weights did not: {_shorten(error)}",
            "Try again, or fetch configuration and weights elsewhere into one folder and give "
            f"{FOLDER_PREFIX}/path/to/folder.",
        ) from error


def find_in_folder(name: ModelId, folder: Path) -> str:
    """The file with weights in a folder.

    Raises:
        ModelError: There is none, or several and nothing says which.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix in ENDINGS)
    by_name = {path.name: path for path in found}
    for preferred in PREFERRED:
        if preferred in by_name:
            return str(by_name[preferred])
    if not found:
        raise ModelError(
            f"The folder of {name.text!r} has a configuration and no weights.",
            f"Put them in it, as {PREFERRED[0]} or {PREFERRED[2]}.",
        )
    if any(re.search(r"-\d{5}-of-\d{5}\.", path.name) for path in found):
        raise ModelError(
            f"The weights in the folder of {name.text!r} are cut into parts: "
            f"{', '.join(sorted(by_name))}.",
            f"{JOIN} Call it {PREFERRED[0]}.",
        )
    if len(found) > 1:
        raise ModelError(
            f"The folder of {name.text!r} has several files of weights: "
            f"{', '.join(sorted(by_name))}.",
            f"Keep one of them in it, or call the one you mean {PREFERRED[0]} or {PREFERRED[2]}.",
        )
    return str(found[0])


def _shorten(error: Exception) -> str:
    told = " ".join(str(error).split()) or type(error).__name__
    return told if len(told) <= 300 else f"{told[:297]}..."
