"""The files of a warehouse as DuckDB sees them: ``warehouse://PATH``, to be read and never written.

One filesystem for folders and URLs. Names are relative to the warehouse, so nothing in the path above
it (``[``, ``*``, ``{``, ``dataset=x``) is ever taken for a pattern or a partition; and a connection that
is allowed this filesystem alone can reach no other file, and change none.
"""

from __future__ import annotations

import datetime
import glob
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fsspec.spec import AbstractFileSystem

from pipeline.base.storage import Store
from pipeline.tables.manifests import FileEntry

PREFIX = "warehouse://"
_NAMED = "files of/"
"""What the names of many files begin with: see `WarehouseFiles.name`. No file of a warehouse is called so."""
_NEVER_WRITTEN = "a warehouse is read here, never written"


class ForbiddenError(PermissionError):
    """A query would write, or reach another file."""


def warehouse_uri(rel: str) -> str:
    """How DuckDB names a file, from its path relative to the warehouse."""
    return PREFIX + rel


def named_uri(name: str) -> str:
    """How DuckDB names many files that have one name, see `WarehouseFiles.name`."""
    return PREFIX + _NAMED + name


class WarehouseFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Read-only files under the root of a store.

    Files that manifests name are known with their sizes: an object store is not asked for these.
    """

    protocol = "warehouse"
    cachable = False

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._named: dict[str, Sequence[FileEntry]] = {}
        self._sizes: dict[str, int] = {}

    def name(self, name: str, files: Sequence[FileEntry]) -> str:
        """Give many files one name, as DuckDB reads them: a query that is short whatever their number."""
        self._named[_NAMED + name] = files
        return named_uri(name)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix(PREFIX)

    def _place(self, path: str) -> str:
        rel = self._strip_protocol(path)
        if rel.startswith("/") or ".." in rel.split("/"):
            raise ForbiddenError(f"{path} leaves the warehouse.")
        return self._store.path(rel)

    def open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        """Open a file for reading.

        Raises:
            ForbiddenError: It is to be written.
        """
        if mode.strip("bt") != "r":
            raise ForbiddenError(f"{path}: {_NEVER_WRITTEN}.")
        place = self._place(path)
        if self._store.is_local:
            return _LocalFile(place)
        size = self._known_size(path)
        file = self._store.fs.open(place, "rb", size=size)
        if size is not None and hasattr(type(file), "details"):
            file.details = {"name": place, "size": size, "type": "file"}  # else it asks for them
        return file

    def _known_size(self, path: str) -> int | None:
        """As its manifest says it."""
        size = self._sizes.get(self._strip_protocol(path), -1)
        return None if size < 0 else size

    def exists(self, path: str, **_: Any) -> bool:
        """Whether there is such a file."""
        return bool(self._store.fs.exists(self._place(path)))

    isfile = exists

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Size and more, as the store's filesystem tells it."""
        return dict(self._store.fs.info(self._place(path)))

    def size(self, path: str) -> int:
        """Bytes of a file."""
        place = self._place(path)
        if self._store.is_local:
            return Path(place).stat().st_size
        return int(self._known_size(path) or self._store.fs.size(place))

    def modified(self, path: str) -> Any:
        """When a file was last changed."""
        place = self._place(path)
        if self._store.is_local:
            return datetime.datetime.fromtimestamp(Path(place).stat().st_mtime, datetime.UTC)
        if self._known_size(path):
            return datetime.datetime.fromtimestamp(0, datetime.UTC)  # never written a second time
        return self._store.fs.modified(place)

    def glob(self, path: str, **_: Any) -> list[str]:
        """The files that a name of many or a pattern stands for; any other name is not looked up."""
        rel = self._strip_protocol(path)
        if (files := self._named.get(rel)) is not None:
            self._sizes.update((file["path"], file["bytes"]) for file in files)
            return [warehouse_uri(file["path"]) for file in files]
        if not glob.has_magic(rel):
            return [path]
        self._place(path)
        if self._store.is_local:
            found = glob.glob(rel, root_dir=self._store.root, recursive=True)  # noqa: PTH207
        else:
            root = self._store.path("").rstrip("/") + "/"
            found = [
                str(f).removeprefix(root) for f in self._store.fs.glob(glob.escape(root) + rel)
            ]
        return [warehouse_uri(name) for name in sorted(found)]

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise ForbiddenError(_NEVER_WRITTEN)

    mkdir = makedirs = rm = rm_file = mv = move = rmdir = put_file = pipe_file = touch = _refuse


class _LocalFile:
    """An open file whose place is each thread's own, for DuckDB's threads share it."""

    def __init__(self, place: str) -> None:
        self._fd = -1  # nothing to close if it cannot be opened
        self._fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        self._own = threading.local()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, counted from the start (or from here, or from the end)."""
        base = (0, self.tell(), os.fstat(self._fd).st_size)[whence] if whence else 0
        self._own.place = base + offset
        return int(self._own.place)

    def tell(self) -> int:
        """The place of this thread."""
        return int(getattr(self._own, "place", 0))

    def read(self, count: int = -1) -> bytes:
        """Read from this thread's place on; fewer bytes only at the end of the file."""
        start = self.tell()
        if count < 0:
            count = max(0, os.fstat(self._fd).st_size - start)
        data = os.pread(self._fd, count, start)
        while 0 < len(data) < count and (
            more := os.pread(self._fd, count - len(data), start + len(data))
        ):
            data += more
        self._own.place = start + len(data)
        return data

    def flush(self) -> None:
        """Nothing is ever written."""

    def close(self) -> None:
        """Give the file back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:  # DuckDB lets go of it and does not close it
        self.close()
