"""A warehouse read with few open files: for queries that touch more files than the system lets us open.

DuckDB keeps every file of a scan open until the scan is done, so a check of all shards needs several
handles for each. Under the address that `spare_handles` gives, a file is open only while bytes are read.
"""

from __future__ import annotations

import io
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pipeline.storage import Store

HANDLES_PER_FILE = 8
"""Scans that one check has open at once, at most, and some room."""


class _SparingFile(io.RawIOBase):
    """A file to read from that is closed between two reads."""

    def __init__(self, path: str) -> None:
        self._path, self._at = path, 0
        with open(path, "rb") as file:  # noqa: PTH123
            self.size = file.seek(0, io.SEEK_END)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        with open(self._path, "rb", buffering=0) as file:  # noqa: PTH123
            file.seek(self._at)
            count = file.readinto(buffer)
        self._at += count
        return count


class SparingFileSystem(LocalFileSystem):  # type: ignore[misc]
    """Local files, for reading alone."""

    protocol = ("sparing",)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(LocalFileSystem._strip_protocol(path.removeprefix("sparing://")))

    def unstrip_protocol(self, name: str) -> str:
        """With the protocol."""
        return f"sparing://{self._strip_protocol(name)}"

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        return _SparingFile(self._strip_protocol(path))


def spare_handles(store: Store, file_count: int) -> str:
    """Where to open a warehouse of so many files: as it is, or with few handles if that is too many."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return store.url
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not store.is_local or HANDLES_PER_FILE * file_count < most:
        return store.url
    fsspec.register_implementation("sparing", SparingFileSystem, clobber=True)
    return f"sparing://{store.path('')}"
