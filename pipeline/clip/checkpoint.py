"""Reading a file of weights, whatever wrote it, and running nothing of it.

What a file is, its first bytes say, not its name: safetensors; torch's zip or its older pickle, read with
``weights_only=True`` and a few harmless classes that people keep beside weights; a TorchScript archive
(``torchscript``). Everything else is told as what it is.
"""

from __future__ import annotations

import argparse
import datetime
import pathlib
import pickle
import re
import types
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core import multiarray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.torch_version import TorchVersion

from pipeline.base.errors import ModelError
from pipeline.clip.torchscript import read_archive

SAVE_ALONE = "Save the weights alone, where it was made: torch.save(model.state_dict(), FILE)"

PROTOCOL = 2
"""The pickle protocol of ``torch.save``; of newer ones ``weights_only=True`` reads what this has too."""

JOIN = (
    "Join the parts into one file: read each with safetensors.torch.load_file, put them into one "
    "dictionary, and write that with save_file."
)


@dataclass(frozen=True)
class Checkpoint:
    """What is in a file of weights."""

    path: str
    content: Any
    """A mapping with tensors in it, somewhere."""
    says_quick_gelu: bool | None = None
    """What the file's own code runs; None if it has no code."""
    is_torchscript: bool = False


def read_checkpoint(path: str) -> Checkpoint:
    """Read a file of weights, on the CPU.

    Raises:
        ModelError: It is none, it is cut, or it holds what only code could read. Says which.
    """
    file = Path(path)
    if file.is_dir():
        raise ModelError(
            f"Checkpoint {path!r} is a folder.",
            f"Name the file in it; or, if it holds open_clip_config.json and weights, local-dir:{path}",
        )
    if file.exists() and not file.is_file():  # opening a pipe would wait for a writer without end
        raise ModelError(f"Checkpoint {path!r} is no regular file.", "Save the weights in a file.")
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            head = opened.read(512)
    except OSError as error:
        raise ModelError(
            f"Checkpoint {path!r} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    _refuse_other_things(path, head, size)
    try:
        if head[8:9] == b"{":
            return Checkpoint(path, load_file(path))
        if not head.startswith(b"PK"):
            return Checkpoint(path, _load_torch(path, is_zip=False))
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(re.fullmatch(r"[^/]+/constants\.pkl", name) for name in names):
            state, says_quick_gelu = read_archive(path)
            return Checkpoint(path, state, says_quick_gelu, is_torchscript=True)
        if any(name.endswith(".npy") for name in names):
            raise ModelError(
                f"Checkpoint {path!r} is a NumPy archive, as big_vision writes them.",
                "Take the converted weights: the tags of open_clip's SigLIP models.",
            )
        if not any(name.endswith("data.pkl") for name in names):
            raise ModelError(
                f"Checkpoint {path!r} is a ZIP archive that torch did not write; in it: "
                f"{', '.join(map(repr, names[:3])) or 'nothing'}.",
                "Unpack it, and name the file of weights.",
            )
        return Checkpoint(path, _load_torch(path, is_zip=True))
    except zipfile.BadZipFile as error:
        raise _cut(path, size, str(error)) from error
    except SafetensorError as error:
        raise _cut(path, size, str(error)) from error
    except pickle.UnpicklingError as error:
        raise _explain_pickle(path, size, error) from error
    except (EOFError, RuntimeError, ValueError, OSError) as error:
        if "Invalid magic number" in str(error):  # a whole pickle, which torch's begin another way
            raise ModelError(
                f"Checkpoint {path!r} is a pickle that torch.save did not write.", SAVE_ALONE
            ) from error
        raise _cut(path, size, " ".join(str(error).split())[:200]) from error


def _load_torch(path: str, is_zip: bool) -> Any:
    """``weights_only=True``, and what may lie beside weights: never code."""
    load = partial(torch.load, map_location="cpu", weights_only=True)
    with torch.serialization.safe_globals(list(_harmless())), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Detected pickle protocol")  # it reads it, or we tell
        if is_zip and not path.endswith(".safetensors"):  # torch takes that ending at its word
            return load(path, mmap=True)  # an optimizer's state is not read
        with Path(path).open("rb") as file:
            return load(file)


def _harmless() -> Iterator[Any]:
    """Classes that only hold values. Making one of them has no effect outside of itself."""
    yield from (argparse.Namespace, types.SimpleNamespace, np.dtype, np.ndarray)
    yield from (list, dict, set, frozenset, int, float, range, slice)  # of a defaultdict, too
    yield TorchVersion  # people note by which torch weights were made
    # torch puts nothing into these: what they hold goes into a plain one
    yield from ((_plain_dict, "collections.defaultdict"), (_plain_list, "collections.deque"))
    yield from (datetime.datetime, datetime.date, datetime.timedelta, datetime.timezone)
    yield from {type(np.dtype(code)) for code in "?bBhHiIlLqQefdgFDGSUMm"}
    yield from (pathlib.PurePosixPath, pathlib.PureWindowsPath)
    # written on Linux or by another Python: made as what only names a path
    for name in ("PosixPath", "WindowsPath"):
        pure = pathlib.PureWindowsPath if name.startswith("W") else pathlib.PurePosixPath
        yield from ((pure, f"pathlib.{name}"), (pure, f"pathlib._local.{name}"))
    for name in ("scalar", "_reconstruct"):
        function = getattr(multiarray, name)
        yield from ((function, f"numpy.{core}.multiarray.{name}") for core in ("core", "_core"))


def _plain_dict(*_: object) -> dict[Any, Any]:
    return {}


def _plain_list(*_: object) -> list[Any]:
    return []


def _refuse_other_things(path: str, head: bytes, size: int) -> None:
    text = head.lstrip().lower()
    what = ""
    if size == 0:
        what = "is empty"
    elif head.startswith(b"version https://git-lfs"):
        raise ModelError(
            f"Checkpoint {path!r} is a pointer of git-lfs, not the file itself.",
            "Fetch it: git lfs pull, in the folder of the repository.",
        )
    elif (
        head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"))
        or head[257:262] == b"ustar"
    ):
        raise ModelError(
            f"Checkpoint {path!r} is compressed, or an archive of files.",
            "Unpack it, and name the file of weights.",
        )
    elif path.endswith(".index.json"):
        raise ModelError(
            f"Checkpoint {path!r} is the list of the parts that weights were cut into.",
            JOIN,
        )
    elif text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        what = "is a page of HTML or XML, not weights: the download brought an error message"
    elif size < 16:
        what = f"is no file of weights: it is {size} bytes, {head!r}"
    elif text.startswith((b"{", b"[")) and head[8:9] != b"{":
        what = "is JSON, not weights"
    elif not (head.startswith((b"PK", b"\x80")) or head[8:9] == b"{"):
        what = f"is no file of weights: it begins with {head[:16]!r}"
    if what:
        raise ModelError(
            f"Checkpoint {path!r} {what}.",
            "Download it again. Files of torch.save, safetensors and TorchScript archives are read.",
        )


def _cut(path: str, size: int, seen: str) -> ModelError:
    return ModelError(
        f"Checkpoint {path!r} is cut or damaged: its {size} bytes are not a whole file ({seen}).",
        "Download or copy it again, and compare its size and SHA-256 with where it came from.",
    )


def _read_protocol(path: str) -> int:
    """The protocol that a pickle, or the one in torch's zip, names in its first bytes; 0 if none."""
    with Path(path).open("rb") as file:
        head = file.read(2)
    if head == b"PK":
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            with archive.open(name) as entry:
                head = entry.read(2)
    return head[1] if head[:1] == b"\x80" and len(head) == 2 else 0


def _explain_pickle(path: str, size: int, error: Exception) -> ModelError:
    """torch's own advice would run code from the file."""
    text, protocol = " ".join(str(error).split()), _read_protocol(path)
    if protocol > PROTOCOL and "Unsupported operand" in text:
        raise ModelError(
            f"Checkpoint {path!r} is written with pickle protocol {protocol}; without running code, torch "
            f"reads protocol {PROTOCOL}.",
            f"{SAVE_ALONE}, without pickle_protocol",
        )
    detail = text.rpartition("WeightsUnpickler error:")[2].partition("Check the documentation")[0]
    if found := re.search(r"GLOBAL ([\w.]+)", text) or re.search(r"class '([\w.]+)'", detail):
        return ModelError(
            f"Checkpoint {path!r} holds more than weights: only with {found[1]} could it be read, and "
            "a file of weights needs no code.",
            f"{SAVE_ALONE}; of a checkpoint that wraps them: torch.save(checkpoint['state_dict'], FILE)",
        )
    return _cut(path, size, detail.strip()[:150])
