"""The one way to the warehouse's files: a folder or a URL, atomic writes, nothing half-visible.

Locally a file is written beside its place as ``NAME.tmp-...``, synced and renamed. On an object store
the same temporary file is made locally and put in one request, which is atomic there.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

import fsspec

from pipeline.errors import ConfigError, MissingDependencyError, StorageError
from pipeline.schema import FORMAT

if TYPE_CHECKING:
    import pyarrow as pa


class Store:
    """Files under one root. All paths are relative to it and use ``/``.

    Args:
        root: A local folder or a URL that fsspec understands (``s3://bucket/folder``).
    """

    def __init__(self, root: str | Path) -> None:
        self.url = str(root)
        try:
            # A listing that is remembered would hide what another process has just written.
            self.fs, self.root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except ImportError as error:
            scheme = self.url.split("://", 1)[0]
            raise MissingDependencyError(
                f"{self.url!r} needs a package that is not installed.",
                f"pip install 'multimodal-neurons[{scheme}]', or the fsspec package for {scheme}.",
            ) from error
        except ValueError as error:
            raise ConfigError(
                f"{self.url!r} is not a place we can write to: {error}.",
                "Give a folder, or a URL such as s3://bucket/folder.",
            ) from error
        self.is_local = "file" in (
            self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,)
        )

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    def path(self, rel: str) -> str:
        """The path of a file as its filesystem wants it (local: absolute)."""
        return f"{self.root.rstrip('/')}/{rel}" if rel else self.root

    def uri(self, rel: str) -> str:
        """The path of a file as DuckDB wants it: a plain local path, or a URL."""
        return self.path(rel) if self.is_local else str(self.fs.unstrip_protocol(self.path(rel)))

    def exists(self, rel: str) -> bool:
        """Whether a file or folder is there."""
        return bool(self.fs.exists(self.path(rel)))

    def size(self, rel: str) -> int:
        """Size of a file in bytes."""
        return int(self.fs.size(self.path(rel)))

    def list(self, rel: str, suffix: str = "") -> list[str]:
        """Names directly inside a folder that end in ``suffix``, sorted; empty if it is not there."""
        self.fs.invalidate_cache()
        try:
            found = self.fs.ls(self.path(rel), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        names = (str(item).rstrip("/").rsplit("/", 1)[-1] for item in found)
        return sorted(name for name in names if name.endswith(suffix))

    @contextmanager
    def open(self, rel: str) -> Iterator[IO[bytes]]:
        """Open a file for reading bytes."""
        with self.fs.open(self.path(rel), "rb") as file:
            yield file

    def read_json(self, rel: str) -> Any:
        """Read one JSON file.

        Raises:
            StorageError: It is damaged.
        """
        with self.open(rel) as file:
            data = file.read()
        try:
            return json.loads(data)
        except ValueError as error:
            raise StorageError(
                f"{self.uri(rel)} is not valid JSON: {error}.",
                "We write it by rename, so something else changed it. Restore it, or delete it and run again.",
            ) from error

    def write_json(self, rel: str, value: object) -> None:
        """Write one JSON file, atomically."""
        data = (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
        self.write_with(rel, lambda path: Path(path).write_bytes(data))

    def write_record(self, rel: str, record: Mapping[str, object]) -> None:
        """Write a JSON record of ours, atomically, with the `FORMAT` that it has."""
        self.write_json(rel, {"format": FORMAT, **record})

    def write_parquet(self, rel: str, table: pa.Table, **options: Any) -> int:
        """Write one Parquet file, atomically. Returns its size in bytes."""
        import pyarrow.parquet as pq

        options = {"compression": "zstd", "compression_level": 1} | options
        return self.write_with(rel, lambda path: pq.write_table(table, path, **options))

    def write_with(self, rel: str, write: Callable[[str], object]) -> int:
        """Let ``write(path)`` fill a temporary file, then put it in place. Returns its size in bytes.

        Raises:
            StorageError: The place cannot be written; nothing is left behind.
        """
        final = self.path(rel)
        with storage_errors(self.uri(rel)):
            if not self.is_local:
                with tempfile.TemporaryDirectory() as folder:
                    temporary = os.path.join(folder, "file")  # noqa: PTH118
                    write(temporary)
                    size = os.path.getsize(temporary)  # noqa: PTH202
                    self.fs.put_file(temporary, final)
                return size
            target = Path(final)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = f"{final}.tmp-{uuid.uuid4().hex[:8]}"
            try:
                write(temporary)
                with open(temporary, "rb+") as file:  # noqa: PTH123
                    os.fsync(file.fileno())
                    size = os.fstat(file.fileno()).st_size
                os.replace(temporary, final)  # noqa: PTH105
            finally:
                Path(temporary).unlink(missing_ok=True)
        return size

    def delete(self, rel: str) -> None:
        """Delete one file if it is there."""
        if self.is_local:
            Path(self.path(rel)).unlink(missing_ok=True)
        elif self.exists(rel):
            self.fs.rm_file(self.path(rel))

    def list_temporary(self, rel: str) -> tuple[str, ...]:
        """Half-written files anywhere under a folder: someone writes them now, or was killed."""
        if not self.is_local:
            return ()  # there they lie in the system's temporary folder
        found = Path(self.path(rel)).rglob("*.tmp-*")
        return tuple(file.relative_to(self.root).as_posix() for file in found)

    def free_bytes(self) -> int | None:
        """Bytes free where the root lies, or None where that is not known."""
        if not self.is_local:
            return None
        folder = Path(self.root)
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free


@contextmanager
def storage_errors(place: str) -> Iterator[None]:
    """Turn what the system says about a place into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageError(
                f"The disk is full: {place} could not be written.",
                "Free some space and run the same command again; finished shards are kept.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(
                f"{place} is not writable: {error.strerror}.",
                "Give another --warehouse, or the permission to write there.",
            ) from error
        raise StorageError(
            f"{place} could not be written: {error}.",
            "Check the place and run the same command again; finished shards are kept.",
        ) from error


def partition(**keys: str) -> str:
    """A Hive-style folder path, e.g. ``dataset=openmoji/run_id=ab12``; values are percent-encoded."""
    return "/".join(f"{key}={quote(value, safe='._-')}" for key, value in keys.items())
