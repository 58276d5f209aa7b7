"""The one way to the warehouse's files: a folder or a URL, atomic writes, nothing half-visible.

Locally a file is written beside its place as ``NAME.tmp-...``, synced and renamed. On an object store
the same temporary file is made locally and put in one request, which is atomic there.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from pipeline.base.checksums import encode_json, hash_stream, seal
from pipeline.base.errors import StorageError
from pipeline.base.faults import explain_system_fault, system_faults_told
from pipeline.base.places import open_place

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 3
"""Version of all that is written: records (JSON) carry it as ``format``. Before it was written, 1."""

NEEDS = "0.1.0"
"""The first version of ours that reads `FORMAT`: records carry it as ``needs``, for older ones to say."""


class Written(NamedTuple):
    """A file that was put in place."""

    bytes: int
    """Its size."""
    checksum: str
    """XXH3 of its bytes, as ``xxh3:0123456789abcdef``."""


class Store:
    """Files under one root. All paths are relative to it and use ``/``.

    Args:
        root: A local folder or a URL that fsspec understands (``s3://bucket/folder``).
    """

    def __init__(self, root: str | Path) -> None:
        self.url = str(root)
        # A listing that is remembered would hide what another process has just written.
        self.fs, self.root = open_place(self.url, use_listings_cache=False)
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
        """Whether a file or folder is there.

        Raises:
            StorageError: That cannot be known: no permission to look, or a lost connection.
        """
        with system_faults_told(self.uri(rel)):
            try:
                (os.stat if self.is_local else self.fs.info)(self.path(rel))
            except (FileNotFoundError, NotADirectoryError):
                return False
        return True

    def size(self, rel: str) -> int:
        """Size of a file in bytes."""
        return int(self.fs.size(self.path(rel)))

    def list(self, rel: str, suffix: str = "") -> list[str]:
        """Names directly inside a folder that end in ``suffix``, sorted; empty if it is not there."""
        self.fs.invalidate_cache()
        with system_faults_told(self.uri(rel)):
            try:
                found = self.fs.ls(self.path(rel), detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
        names = (str(item).rstrip("/").rsplit("/", 1)[-1] for item in found)
        return sorted(name for name in names if name.endswith(suffix))

    def sizes(self, rel: str) -> dict[str, int]:
        """Name -> size in bytes of the files directly inside a folder; empty if it is not there."""
        if self.is_local:
            stamps = self.stamps(rel).items()
            return {name: int(stamp.split("-")[0]) for name, stamp in stamps if stamp}
        self.fs.invalidate_cache()
        try:
            found = self.fs.ls(self.path(rel), detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        files = (item for item in found if item["type"] != "directory")
        return {str(item["name"]).rsplit("/", 1)[-1]: int(item["size"] or 0) for item in files}

    def stamps(self, rel: str) -> dict[str, str]:
        """Name -> stamp of what is directly inside a folder, by one listing; empty if it is not there.

        A file that is put in place anew has another stamp: locally size, time and inode, in a bucket
        what the listing says of its content. Empty for a folder, and where nothing can be told.
        """
        with system_faults_told(self.uri(rel)):
            try:
                if self.is_local:
                    with os.scandir(self.path(rel)) as entries:
                        return {entry.name: _stamp_entry(entry) for entry in entries}
                self.fs.invalidate_cache()
                found = self.fs.ls(self.path(rel), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return {}
        return {
            str(item["name"]).rstrip("/").rsplit("/", 1)[-1]: _stamp_item(item) for item in found
        }

    def walk(self, rel: str) -> Iterator[tuple[str, int]]:
        """Path and size in bytes of every file anywhere below a folder; none if it is not there."""
        self.fs.invalidate_cache()
        with system_faults_told(self.uri(rel)):
            found = self.fs.find(self.path(rel), detail=True)
        begin = len(self.root.rstrip("/")) + 1
        for path, item in found.items():
            yield str(path)[begin:], int(item["size"] or 0)

    def modified_at(self, rel: str) -> datetime:
        """When a file was written last, UTC."""
        moment: datetime = self.fs.modified(self.path(rel))
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    @contextmanager
    def open(self, rel: str) -> Iterator[IO[bytes]]:
        """Open a file for reading bytes.

        Raises:
            FileNotFoundError: It is not there.
            StorageError: A limit, a permission, a broken disk or a lost connection is in the way.
        """
        with system_faults_told(self.uri(rel)), self.fs.open(self.path(rel), "rb") as file:
            yield file

    def read_bytes(self, rel: str) -> bytes:
        """Read one small file, by one request.

        Raises:
            FileNotFoundError: It is not there.
            StorageError: As of `open`.
        """
        if self.is_local:
            with self.open(rel) as file:
                return file.read()
        protocols = {self.fs.protocol} if isinstance(self.fs.protocol, str) else {*self.fs.protocol}
        # s3fs would ask for the size first, to fetch large files in pieces at the same time.
        whole = {"max_concurrency": 1} if "s3" in protocols else {}
        with system_faults_told(self.uri(rel)):
            return bytes(self.fs.cat_file(self.path(rel), **whole))

    def read_json(self, rel: str) -> Any:
        """Read one JSON file.

        Raises:
            StorageError: It is damaged.
        """
        data = self.read_bytes(rel)
        try:
            return json.loads(data)
        except ValueError as error:
            raise StorageError(
                f"{self.uri(rel)} is not valid JSON: {error}.",
                "We write it by rename, so something else changed it. Leave it where it is: "
                "neurons check says what is damaged, neurons repair makes it again.",
            ) from error

    def write_json(self, rel: str, value: object) -> Written:
        """Write one JSON file, atomically."""
        return self.write_bytes(rel, encode_json(value))

    def write_record(self, rel: str, record: Mapping[str, object], with_copy: bool = False) -> None:
        """Write a JSON record of ours, atomically, with the `FORMAT` that it has and its checksum.

        Args:
            rel: Where.
            record: What it says.
            with_copy: Write it to ``rel`` + `COPY` first: what nothing else could give back.
        """
        data = self.seal_record(record)
        if with_copy:
            self.write_bytes(rel + COPY, data)
        self.write_bytes(rel, data)

    def seal_record(self, record: Mapping[str, object]) -> bytes:
        """The bytes that `write_record` writes."""
        return seal({**record, "format": FORMAT, "needs": NEEDS})

    def write_bytes(self, rel: str, data: bytes) -> Written:
        """Write one file, atomically."""
        return self.write_with(rel, lambda path: Path(path).write_bytes(data))

    def write_parquet(self, rel: str, table: pa.Table, **options: Any) -> Written:
        """Write one Parquet file, atomically, with a checksum in every page."""
        import pyarrow.parquet as pq

        options = {"compression": "zstd", "compression_level": 1} | PAGE_CHECKSUMS | options
        return self.write_with(rel, lambda path: pq.write_table(table, path, **options))

    def write_with(self, rel: str, write: Callable[[str], object]) -> Written:
        """Let ``write(path)`` fill a temporary file, then put it in place.

        The checksum is taken from the temporary file, which is still in the system's cache: measured,
        that is half as dear as hashing what passes on its way there, and it serves every writer.

        Raises:
            StorageError: The place cannot be written; nothing is left behind.
        """
        final = self.path(rel)
        with storage_errors(self.uri(rel)):
            if not self.is_local:
                with tempfile.TemporaryDirectory() as folder:
                    temporary = os.path.join(folder, "file")  # noqa: PTH118
                    write(temporary)
                    written = _measure(temporary)
                    self.fs.put_file(temporary, final)
                return written
            target = Path(final)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = f"{final}.tmp-{uuid.uuid4().hex[:8]}"
            try:
                write(temporary)
                written = _measure(temporary)
                with open(temporary, "rb+") as file:  # noqa: PTH123
                    os.fsync(file.fileno())
                os.replace(temporary, final)  # noqa: PTH105
            finally:
                Path(temporary).unlink(missing_ok=True)
            sync_folder(target.parent)
        return written

    def checksum(self, rel: str) -> str:
        """XXH3 of a file's bytes, as `Written` has it; the file is read once."""
        with self.open(rel) as file:
            return hash_stream(file)

    def delete(self, rel: str) -> None:
        """Delete one file if it is there."""
        if self.is_local:
            Path(self.path(rel)).unlink(missing_ok=True)
        elif self.exists(rel):
            self.fs.rm_file(self.path(rel))

    def delete_all(self, rels: Sequence[str]) -> None:
        """Delete files that may be gone already; in a bucket by one request for each thousand."""
        if self.is_local:
            for rel in rels:
                Path(self.path(rel)).unlink(missing_ok=True)
        elif rels:
            with system_faults_told(self.uri(rels[0])), suppress(FileNotFoundError):
                self.fs.rm([self.path(rel) for rel in rels])

    def touch(self, rel: str) -> None:
        """Put an empty file in place; it need not outlast a loss of power.

        Raises:
            StorageError: The place cannot be written.
        """
        with storage_errors(self.uri(rel)):
            if self.is_local:
                place = Path(self.path(rel))
                place.parent.mkdir(parents=True, exist_ok=True)
                place.touch()
            else:
                self.fs.pipe_file(self.path(rel), b"")

    def place_of(self, rel: str) -> str:
        """What tells a folder from a copy of it; empty where nothing does, and if it is not there."""
        try:
            return f"{os.stat(self.path(rel)).st_ino:x}" if self.is_local else ""  # noqa: PTH116
        except OSError:
            return ""

    def drop_empty_folders(self, *rels: str) -> None:
        """Remove folders below these, and themselves, that hold nothing; object stores have none."""
        for rel in rels if self.is_local else ():
            below = sorted(Path(self.path(rel)).rglob("*"), reverse=True)
            for folder in (*below, Path(self.path(rel))):
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()

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


COPY = ".copy"
"""What the name of a record's copy ends in."""

PAGE_CHECKSUMS = {"write_page_checksum": True}
"""What every Parquet writer of ours is given."""


def _stamp_entry(entry: os.DirEntry[str]) -> str:
    try:
        found = entry.stat()
    except OSError:
        return ""
    is_file = stat.S_ISREG(found.st_mode)
    return f"{found.st_size}-{found.st_mtime_ns:x}-{found.st_ino:x}" if is_file else ""


def _stamp_item(item: Mapping[str, Any]) -> str:
    """What an object store says of a file's content in a listing."""
    mark = next(
        (item[key] for key in ("ETag", "etag", "md5Hash", "content_md5") if item.get(key)), ""
    )
    return f"{item['size']}-{mark}" if mark and item["type"] != "directory" else ""


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder last through a loss of power; file systems that cannot are let be."""
    try:
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)


_NO_FOLDER_SYNC = (
    errno.EINVAL,
    errno.ENOTSUP,
    errno.ENOSYS,
    errno.EBADF,
    errno.EACCES,
    errno.EPERM,
)


def _measure(path: str) -> Written:
    with open(path, "rb") as file:  # noqa: PTH123
        checksum = hash_stream(file)
        return Written(file.tell(), checksum)


@contextmanager
def storage_errors(place: str) -> Iterator[None]:
    """Turn what the system says about a place into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"The disk is full: {place} could not be written: {error.strerror}.",
                "Free some space and run the same command again; finished shards are kept.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(
                f"{place} is not writable: {error.strerror}.",
                "Give another --warehouse, or the permission to write there.",
            ) from error
        if told := explain_system_fault(error, place):
            raise told from error
        raise StorageError(
            f"{place} could not be written: {error}.",
            "Check the place and run the same command again; finished shards are kept.",
        ) from error


def partition(**keys: str) -> str:
    """A Hive-style folder path, e.g. ``dataset=openmoji/run_id=ab12``; values are percent-encoded."""
    return "/".join(f"{key}={quote(value, safe='._-')}" for key, value in keys.items())
