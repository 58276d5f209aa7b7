"""Weights out of a TorchScript archive, without running what is in it.

OpenAI published CLIP as such archives. ``torch.jit.load`` compiles the archive's code and runs the
``__setstate__`` of its modules, which may call any operator of torch, file access among them. Here the
archive is read as what it is, a zip: ``data.pkl`` is unpickled with a handful of names allowed, each of
them ours, modules become plain records of their attributes, and tensors are cut out of the bytes. The
code is looked at as text, for the activation function.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
import zlib
from collections import OrderedDict
from typing import Any

import torch

from pipeline.base.errors import ModelError

MAX_UNFOLDED = 100
"""How many times its size an entry may unfold to: code and lists of names compress well."""

STORAGE_TYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}

_NOT_TORCHS = (
    *(pickle.UnpicklingError, ValueError, TypeError, KeyError, RuntimeError),
    *(AttributeError, IndexError, OverflowError, zlib.error),
)
"""What reading an archive raises that torch has not written."""


class _Module:
    """A module of the archive: its attributes, and none of its code."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def read_archive(path: str) -> tuple[dict[str, torch.Tensor], bool | None]:
    """The tensors of an archive by name, and whether its code runs QuickGELU (None: it does not say).

    Raises:
        ModelError: It holds something else than tensors and modules.
        zipfile.BadZipFile: It is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        (data,) = (name for name in names if re.fullmatch(r"[^/]+/data\.pkl", name))
        top = data.removesuffix("data.pkl")
        code = b""
        try:
            root = _Unpickler(archive, top).load()
            for name in names:
                if name.startswith(f"{top}code/") and name.endswith(".py"):
                    code += _read(archive, name)
            state: dict[str, torch.Tensor] = {}
            _collect(root, "", state)
        except _NOT_TORCHS as error:
            raise ModelError(
                f"Checkpoint {path!r} is a TorchScript archive that holds more than weights: {error}.",
                "Save the weights alone, where it was made: torch.save(model.state_dict(), FILE)",
            ) from error
    is_quick = b"QuickGELU" in code or b"1.702" in code
    return state, True if is_quick else False if b"gelu(" in code else None


def _collect(module: Any, prefix: str, state: dict[str, torch.Tensor]) -> None:
    for name, value in vars(module).items() if isinstance(module, _Module) else ():
        if isinstance(value, torch.Tensor):
            state[prefix + name] = value
        else:
            _collect(value, f"{prefix}{name}.", state)


class _Unpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, top: str) -> None:
        super().__init__(io.BytesIO(_read(archive, f"{top}data.pkl")))
        self._archive, self._top = archive, top
        self._storages: dict[str, torch.Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """One of our own stand-ins; never anything that is imported by name."""
        if module == "torch" and name in STORAGE_TYPES:
            return STORAGE_TYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch.jit._pickle":
            return _first
        if module.startswith("__torch__") and not module.startswith("__torch__.torch.classes"):
            return _Module
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> torch.Tensor:
        """The values of a storage, flat."""
        kind, dtype, key, _, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError(f"it refers to {kind!r}")
        if key not in self._storages:
            data = bytearray(_read(self._archive, f"{self._top}data/{key}"))
            values = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            self._storages[key] = values[:count]
        return self._storages[key]


def _rebuild(
    storage: torch.Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> torch.Tensor:
    return storage.as_strided(size, stride, offset)  # refuses what lies outside of the storage


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    """An entry; torch stores tensors as they are, so one that unfolds to much more is not torch's."""
    info = archive.getinfo(name)
    if info.file_size > MAX_UNFOLDED * max(info.compress_size, 1 << 10):
        raise ValueError(f"{name} unfolds from {info.compress_size} to {info.file_size} bytes")
    return archive.read(info)


def _first(value: Any, *_: Any) -> Any:
    return value
