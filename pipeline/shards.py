"""The strict shard reader: a damaged tar is an error, never a shorter dataset.

webdataset and ``tarfile`` both stop without a word at a header they cannot read, at a file that
was cut between two members, and at the first of several concatenated archives. This reader accepts
a tar only if it ends as POSIX says, with two blocks of zeros, and holds only zeros after them.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import DamagedShardError, ExampleError, ShardError, StorageError
from pipeline.schema import EXAMPLE_ID_BITS

MAX_SAMPLES = 1 << EXAMPLE_ID_BITS
"""Samples that a shard may hold, so that example_id stays unique."""

_BLOCK = tarfile.BLOCKSIZE
_NAME = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$", re.DOTALL)
_META = re.compile(r"__[^/]*__($|/)")


class Member(NamedTuple):
    """One file of a sample."""

    name: str
    offset: int
    """Where its bytes begin in the tar."""
    size: int
    """Its length in bytes."""
    data: bytes | None
    """Its bytes; None if ``wanted`` declined its extension."""


@dataclass
class Sample:
    """Neighbouring members of a tar that share a key."""

    position: int
    """0-based place in the shard; a key that comes back later is a new sample with an error."""
    key: str
    members: dict[str, Member] = field(default_factory=dict)
    """By lower-case extension, in the order of the tar."""
    error: ExampleError | None = None
    """Why the sample cannot be used, if the tar itself says so."""


def split_name(name: str) -> tuple[str, str] | None:
    """Split a member's name at its first dot, as webdataset does: ``a/b.v2.jpg`` is (a/b, v2.jpg).

    Returns:
        (key, extension in lower case), or None for a name without an extension.
    """
    match = _NAME.match(name)
    return (match[1], match[2].lower()) if match else None


def read_samples(
    file: IO[bytes], shard: str, wanted: Callable[[str], bool] = lambda extension: True
) -> Iterator[Sample]:
    """Read a tar from its beginning, one sample in memory at a time.

    Folders and webdataset's own ``__name__`` members are passed over. A member without an
    extension, a link, a repeated member and a repeated key each give a sample with an ``error``.

    Args:
        file: A seekable file at byte 0 of an uncompressed tar.
        shard: What to call the tar in errors.
        wanted: Which extensions to keep the bytes of.

    Raises:
        DamagedShardError: The tar is cut, corrupt, empty, or holds more than 1,048,576 samples. All
            samples given before that are whole.
    """
    seen: set[str] = set()
    sample: Sample | None = None
    open_key: str | None = None  # None also after a member without an extension
    finished = 0
    try:
        for info, member in _read_members(file, wanted):
            split = split_name(info.name)
            key, extension = split if split else (info.name, "")
            if sample is None or split is None or key != open_key:
                if sample is not None:
                    yield sample
                    finished += 1
                if finished == MAX_SAMPLES:
                    raise _DamageError(
                        "too_many_samples", info.offset, f"holds more than {MAX_SAMPLES:,} samples"
                    )
                sample = Sample(finished, key)
                open_key = key if split else None
                if open_key in seen:
                    sample.error = ExampleError(
                        "duplicate_key", f"an earlier sample of this shard has the key {key!r}"
                    )
                if open_key is not None:
                    seen.add(open_key)
            sample.error = sample.error or _member_error(info, extension, sample)
            sample.members.setdefault(extension, member)
        if sample is None:
            raise _DamageError("tar_empty", 0, "holds no sample")
    except _DamageError as damage:
        raise damage.describe(shard, finished) from damage.__cause__
    yield sample


def expand_shards(paths: Sequence[str]) -> list[str]:
    """List the tars that paths mean: files, folders, globs, brace ranges, URLs of any of these.

    Within a folder or glob tars are sorted by name; otherwise the given order stands.

    Returns:
        Absolute local paths, or URLs.

    Raises:
        ShardError: A path or a member of a brace range is not there, nothing was found, or a tar is
            listed twice.
    """
    found: list[str] = []
    for path in paths:
        found += _expand(str(path))
    if not found:
        raise ShardError(
            "No shards were given.", "Give tar files, folders of them, globs or brace ranges."
        )
    twice = sorted({url for url in found if found.count(url) > 1}) if _has_repeats(found) else []
    if twice:
        raise ShardError(
            f"{twice[0]} is listed {found.count(twice[0])} times.", "Name each shard once."
        )
    return found


@contextmanager
def open_shard(url: str) -> Iterator[IO[bytes]]:
    """Open a shard for reading, from a local path or a URL.

    Raises:
        StorageError: It cannot be opened or read.
    """
    try:
        if "://" in url:
            fs, path = fsspec.core.url_to_fs(url)
            with fs.open(path, "rb") as file:
                yield cast(IO[bytes], file)
        else:
            with Path(url).open("rb", buffering=1 << 20) as file:
                yield file
    except OSError as error:
        raise StorageError(
            f"Shard {url} could not be read: {error}.",
            "Check that it is there and readable, and run the same command again.",
        ) from error


def shard_size(url: str) -> int:
    """Size of a shard in bytes.

    Raises:
        ShardError: It is not there.
    """
    try:
        fs, path = fsspec.core.url_to_fs(url)
        return int(fs.size(path))
    except OSError as error:
        raise ShardError(
            f"Shard {url} is not there: {error}.", "Check the path; relative paths start here."
        ) from error


class _DamageError(Exception):
    """What is wrong with a tar, before the shard's name is known."""

    def __init__(self, reason: str, offset: int, what: str) -> None:
        super().__init__(reason, offset, what)
        self.reason, self.offset, self.what = reason, offset, what

    def describe(self, shard: str, sample_count: int) -> DamagedShardError:
        return DamagedShardError(
            self.reason,
            f"Shard {shard} {self.what} (byte {self.offset:,}, after {sample_count:,} whole "
            f"samples).",
            _HINTS[self.reason],
            sample_count,
        )


_HINTS = {
    "tar_truncated": "It was cut. Copy or download it again, then run the same command.",
    "tar_damaged_header": "It was changed or is no plain tar (compressed ones must be unpacked). "
    "Copy or download it again, then run the same command.",
    "tar_empty": "A shard holds at least one sample. Leave it out, or write it again.",
    "tar_trailing_data": "Were several tars joined? Give each as its own shard (a tar ends at its "
    "first two zero blocks, so readers would lose the rest).",
    "too_many_samples": "Split it into smaller shards.",
}


def _read_members(
    file: IO[bytes], wanted: Callable[[str], bool]
) -> Iterator[tuple[tarfile.TarInfo, Member]]:
    """Give each member that is not a folder, with its bytes, and verify the end of the archive."""
    tar: tarfile.TarFile | None = None
    try:
        tar = tarfile.open(fileobj=file, mode="r:", encoding="utf-8")  # noqa: SIM115
        while (info := tar.next()) is not None:
            cast(Any, tar).members = []  # otherwise tarfile remembers every member
            if info.isdir() or _META.match(info.name):
                continue
            data = None
            split = split_name(info.name)
            if info.isreg() and wanted(split[1] if split else ""):
                file.seek(info.offset_data)
                data = file.read(info.size)
                if len(data) < info.size:
                    raise _DamageError(
                        "tar_truncated", info.offset_data + len(data), f"ends inside {info.name!r}"
                    )
            yield info, Member(info.name, info.offset_data, info.size, data)
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        offset = getattr(tar, "offset", 0)
        at, size = file.tell(), file.seek(0, os.SEEK_END)
        if 0 < size <= at:  # it wanted more than there is, such as what follows a long name
            raise _DamageError("tar_truncated", size, "ends in the middle of a member") from error
        _check_end(file, offset)
        what = f"has a header that is damaged ({error})"
        raise _DamageError("tar_damaged_header", offset, what) from error
    _check_end(file, cast(int, cast(Any, tar).offset))


def _check_end(file: IO[bytes], offset: int) -> None:
    """Raise unless two zero blocks stand at ``offset`` and only zeros follow."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise _DamageError("tar_empty", 0, "has 0 bytes")
    if size < offset + _BLOCK:
        raise _DamageError("tar_truncated", size, "ends in the middle of a member")
    file.seek(offset)
    first, second = file.read(_BLOCK), file.read(_BLOCK)
    if first.strip(b"\0"):
        raise _DamageError("tar_damaged_header", offset, "has a header that is damaged")
    if len(second) < _BLOCK:
        raise _DamageError("tar_truncated", size, "ends without the mark of a tar's end")
    if second.strip(b"\0"):
        raise _DamageError("tar_damaged_header", offset, "has a header that is blank")
    while rest := file.read(1 << 20):
        if rest.strip(b"\0"):
            at = file.tell() - len(rest.lstrip(b"\0"))
            raise _DamageError("tar_trailing_data", at, "goes on after the mark of a tar's end")


def _member_error(info: tarfile.TarInfo, extension: str, sample: Sample) -> ExampleError | None:
    if not extension:
        return ExampleError("no_extension", f"member {info.name!r} has no extension")
    if not info.isreg() or info.issparse():
        return ExampleError(
            "linked_member", f"member {info.name!r} is a link or has no plain bytes"
        )
    if extension in sample.members:
        return ExampleError("duplicate_member", f"member {info.name!r} comes twice")
    return None


def _has_repeats(urls: list[str]) -> bool:
    return len(set(urls)) < len(urls)


def _expand(path: str) -> list[str]:
    if "{" in path and not Path(path).exists():
        from webdataset.shardlists import expand_urls

        members = [url for part in expand_urls(path) for url in _list_one(part)]
        missing = [url for url in members if not _exists(url)]
        if missing:
            raise ShardError(
                f"{len(missing)} of the {len(members)} shards of {path} are not there: "
                f"{', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}.",
                "Correct the range, or bring the missing shards.",
            )
        return members
    found = _list_one(path)
    if not found:
        raise ShardError(f"{path} holds no .tar file.", "Expected a folder or glob of .tar files.")
    if not all(_exists(url) for url in found):
        raise ShardError(
            f"Shard {path} is not there.", "Check the path; relative paths start here."
        )
    return found


def _list_one(path: str) -> list[str]:
    """The tars of a folder or glob, or the path itself; one spelling for each place."""
    fs, inner = fsspec.core.url_to_fs(path)
    if fs.isdir(inner):
        items = [str(item) for item in fs.ls(inner, detail=False)]
    elif any(letter in path for letter in "*?[") and not fs.exists(inner):
        items = [str(item) for item in fs.glob(inner)]
    else:
        return [_spell(fs, str(inner))]
    return [_spell(fs, item) for item in sorted(items) if item.endswith(".tar")]


def _spell(fs: Any, path: str) -> str:
    """A plain absolute path for a local file, a URL for any other."""
    return path if isinstance(fs, LocalFileSystem) else str(fs.unstrip_protocol(path))


def _exists(url: str) -> bool:
    fs, inner = fsspec.core.url_to_fs(url)
    return bool(fs.isfile(inner))
