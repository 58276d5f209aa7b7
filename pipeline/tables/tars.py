"""The strict shard reader: a damaged tar is an error, never a shorter dataset.

webdataset and ``tarfile`` both stop without a word at a header they cannot read, at a file that
was cut between two members, and at the first of several concatenated archives. This reader accepts
a tar only if it ends as POSIX says, with two blocks of zeros, and holds only zeros after them.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from pipeline.base.errors import DamagedShardError, ExampleError, StorageError
from pipeline.base.names import find_hidden, is_image_name
from pipeline.base.places import is_url, local_path, open_place
from pipeline.tables.columns import EXAMPLE_ID_BITS
from pipeline.tables.samples import Member, Sample, part_images, split_name

MAX_SAMPLES = 1 << EXAMPLE_ID_BITS
"""Samples that a shard may hold, so that example_id stays unique."""

_KEPT_MEMBERS = 64
"""Members of one sample whose bytes are kept while its others are read; those of the rest are read again."""

_BLOCK = tarfile.BLOCKSIZE
_META = re.compile(r"__[^/]*__($|/)")


def read_samples(
    file: IO[bytes],
    shard: str,
    wanted: Callable[[str], bool] = lambda extension: True,
    hidden: Counter[str] | None = None,
) -> Iterator[Sample]:
    """Read a tar from its beginning, one sample in memory at a time.

    Members that share a name up to its first dot are a sample. If it holds several images, the first
    with a plain extension is its image; every other one that has a text of the same full name, and
    every one if none is plain, becomes a sample of its own: ``a.1.jpg`` with ``a.1.txt`` or
    ``a.1.jpg.json``, else with the texts that belong to none of the images. Images that are left stay among
    its ``members``.

    Folders, webdataset's own ``__name__`` members and what `find_hidden` knows are passed over. A
    member without an extension, a repeated image and a repeated key each give a sample with an
    ``error``. A hard link has the bytes of the member it links to.

    A sample's ``position`` is the number of changes of name before it, hidden members included, so
    it is what it was before hidden members were passed over; further samples made of one are numbered
    on behind the last.

    Args:
        file: A seekable file at byte 0 of an uncompressed tar.
        shard: What to call the tar in errors.
        wanted: Which extensions to keep the bytes of.
        hidden: Counts the members that are passed over, by kind.

    Raises:
        DamagedShardError: The tar is cut, corrupt, empty, or holds more than 1,048,576 samples. All
            samples given before that are whole.
    """
    hidden = Counter() if hidden is None else hidden
    seen: set[str] = set()
    later: list[Sample] = []
    strays: list[Sample] = []
    group: Sample | None = None
    last_key: str | None = None
    starts = finished = 0

    def close() -> Iterator[Sample]:
        parts = [] if group is None else part_images(group, seen)
        for part in parts[1:]:  # their bytes are read again when their turn comes
            for extension, member in part.members.items():
                part.members[extension] = member._replace(data=None)
            later.append(part)
        ready = sorted(parts[:1] + strays, key=lambda sample: sample.position)
        strays.clear()
        yield from give(ready)

    def give(samples: Iterable[Sample]) -> Iterator[Sample]:
        nonlocal finished
        for sample in samples:
            _load_members(file, sample, wanted)
            yield sample
            finished += 1

    try:
        for info, member in _read_members(file):
            split = split_name(info.name)
            key = split[0] if split else None
            if starts == 0 or key is None or key != last_key:
                starts += 1
                last_key = key
                if starts > MAX_SAMPLES:
                    raise _too_many(info.offset)
            kind = find_hidden(info.name)
            if kind is not None:
                hidden[kind] += 1
                continue
            if split is None:
                problem = ExampleError("no_extension", f"member {info.name!r} has no extension")
                strays.append(Sample(starts - 1, info.name, error=problem))
                continue
            if group is None or key != group.key:
                yield from close()
                group = Sample(starts - 1, split[0])
            _add_member(file, group, split[1], member, wanted)
        yield from close()
        if starts + len(later) > MAX_SAMPLES:
            raise _too_many(0)
        for position, sample in enumerate(later, starts):
            sample.position = position
            yield from give([sample])
        if finished == 0:
            among = f" among {hidden.total():,} hidden files" if hidden else ""
            raise _DamageError("tar_empty", 0, f"holds no sample{among}")
    except _DamageError as damage:
        raise damage.describe(shard, finished) from damage.__cause__


def _add_member(
    file: IO[bytes],
    sample: Sample,
    extension: str,
    member: Member,
    wanted: Callable[[str], bool],
) -> None:
    """Take a member into a sample, with its bytes unless the sample is large."""
    if extension in sample.members:
        sample.repeated.append((extension, member))
        return
    has_image = is_image_name(extension) and any(map(is_image_name, sample.members))
    if wanted(extension) and not has_image and len(sample.members) < _KEPT_MEMBERS:
        member = _load(file, member)
    sample.members[extension] = member


def _load(file: IO[bytes], member: Member) -> Member:
    if member.data is not None or member.problem is not None:
        return member
    file.seek(member.offset)
    data = file.read(member.size)
    if len(data) < member.size:
        where = member.offset + len(data)
        raise _DamageError("tar_truncated", where, f"ends inside {member.name!r}")
    return member._replace(data=data)


def _load_members(file: IO[bytes], sample: Sample, wanted: Callable[[str], bool]) -> None:
    """Read what is wanted of a sample; of the images of a large one the first alone."""
    spared = set(sample.images[1:]) if len(sample.members) > _KEPT_MEMBERS else set()
    for extension, member in sample.members.items():
        if wanted(extension) and extension not in spared:
            sample.members[extension] = _load(file, member)


@contextmanager
def open_shard(url: str) -> Iterator[IO[bytes]]:
    """Open a shard for reading, from a local path or a URL.

    Raises:
        StorageError: It cannot be opened or read.
    """
    try:
        if is_url(url):
            fs, path = open_place(url)
            with fs.open(path, "rb") as file:
                yield cast(IO[bytes], file)
        else:
            with Path(local_path(url)).open("rb", buffering=1 << 20) as file:
                yield file
    except OSError as error:
        raise StorageError(
            f"Shard {url} could not be read: {error}.",
            "Check that it is there and readable, and run the same command again.",
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


def _read_members(file: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, Member]]:
    """Give each member that is not a folder, without bytes, and verify the end of the archive."""
    tar: tarfile.TarFile | None = None
    before: dict[str, Member] = {}
    try:
        tar = tarfile.open(fileobj=file, mode="r:", encoding="utf-8")  # noqa: SIM115
        while (info := tar.next()) is not None:
            cast(Any, tar).members = []  # otherwise tarfile remembers every member
            if info.isdir() or _META.match(info.name):
                continue
            member = Member(info.name, info.offset_data, info.size, problem=_find_problem(info))
            if info.islnk():
                member = _follow_link(info, before)
            before[_plain_name(info.name)] = member
            yield info, member
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        offset = getattr(tar, "offset", 0)
        at, size = file.tell(), file.seek(0, os.SEEK_END)
        if 0 < size <= at:  # it wanted more than there is, such as what follows a long name
            raise _DamageError("tar_truncated", size, "ends in the middle of a member") from error
        _check_end(file, offset)
        what = f"has a header that is damaged ({error})"
        raise _DamageError("tar_damaged_header", offset, what) from error
    _check_end(file, cast(int, cast(Any, tar).offset))


def _find_problem(info: tarfile.TarInfo) -> ExampleError | None:
    """Why a member's bytes do not lie in the tar one after the other."""
    if info.issparse():
        what = "is stored without its zeros (sparse); write the tar again without --sparse"
        return ExampleError("sparse_member", f"member {info.name!r} {what}")
    if info.issym():
        return ExampleError("linked_member", f"member {info.name!r} links to {info.linkname!r}")
    if not info.isreg() and not info.islnk():
        kind = "a pipe" if info.isfifo() else "a device" if info.isdev() else "of an unknown kind"
        return ExampleError("special_member", f"member {info.name!r} is {kind}, not a file")
    return None


def _follow_link(info: tarfile.TarInfo, before: dict[str, Member]) -> Member:
    """A hard link has the bytes of the earlier member that it names, as GNU tar writes them."""
    what = f"member {info.name!r} links to {info.linkname!r}"
    target = before.get(_plain_name(info.linkname))
    if target is None:
        problem: ExampleError | None = ExampleError(
            "linked_member", f"{what}, which is not before it"
        )
        return Member(info.name, info.offset_data, 0, problem=problem)
    problem = target.problem
    if problem is not None:
        problem = ExampleError(problem.reason, f"{what}: {problem.detail}")
    return Member(info.name, target.offset, target.size, problem=problem)


def _plain_name(name: str) -> str:
    return name.removeprefix("./")


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


def _too_many(offset: int) -> _DamageError:
    return _DamageError("too_many_samples", offset, f"holds more than {MAX_SAMPLES:,} samples")
