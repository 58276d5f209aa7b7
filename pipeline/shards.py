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
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from pipeline.errors import DamagedShardError, ExampleError, StorageError
from pipeline.names import find_hidden, is_image_name
from pipeline.places import is_url, local_path, open_place
from pipeline.schema import EXAMPLE_ID_BITS

MAX_SAMPLES = 1 << EXAMPLE_ID_BITS
"""Samples that a shard may hold, so that example_id stays unique."""

_KEPT_MEMBERS = 64
"""Members of one sample whose bytes are kept while its others are read; those of the rest are read again."""

_BLOCK = tarfile.BLOCKSIZE
_NAME = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$", re.DOTALL)
_META = re.compile(r"__[^/]*__($|/)")


class Member(NamedTuple):
    """One file of a sample."""

    name: str
    offset: int
    """Where its bytes begin in the tar; those of a hard link are its target's."""
    size: int
    """Its length in bytes."""
    data: bytes | None = None
    """Its bytes; None if ``wanted`` declined its extension, or if it has a problem."""
    problem: str | None = None
    """Why it has no bytes to read, such as a link to nothing; None if it has."""


@dataclass
class Sample:
    """Neighbouring members of a tar that share a key."""

    position: int
    """Place in the shard, see `read_samples`."""
    key: str
    members: dict[str, Member] = field(default_factory=dict)
    """By lower-case extension, in the order of the tar."""
    error: ExampleError | None = None
    """Why the sample cannot be used, if the tar itself says so."""
    repeated: list[tuple[str, Member]] = field(default_factory=list)
    """Members whose extension an earlier one of the sample has already; they are not read."""

    @property
    def images(self) -> list[str]:
        """Extensions of its images: first the one that is the example, see `read_samples`."""
        found = [extension for extension in self.members if is_image_name(extension)]
        return sorted(found, key=lambda extension: "." in extension)


def split_name(name: str) -> tuple[str, str] | None:
    """Split a member's name at its first dot, as webdataset does: ``a/b.v2.jpg`` is (a/b, v2.jpg).

    Returns:
        (key, extension in lower case), or None for a name without an extension.
    """
    match = _NAME.match(name)
    return (match[1], match[2].lower()) if match else None


def read_samples(
    file: IO[bytes],
    shard: str,
    wanted: Callable[[str], bool] = lambda extension: True,
    hidden: Counter[str] | None = None,
) -> Iterator[Sample]:
    """Read a tar from its beginning, one sample in memory at a time.

    Members that share a name up to its first dot are a sample. If it holds several images, the one
    with a plain extension is its image; every other one that has a text of the same full name, and
    every one if none is plain, becomes a sample of its own: ``a.1.jpg`` with ``a.1.txt``, else with the
    texts that belong to none of the images. Images that are left stay among its ``members``.

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
        parts = [] if group is None else _part_images(group, seen)
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


def _part_images(sample: Sample, seen: set[str]) -> list[Sample]:
    """The samples that one is, by the rule of `read_samples`; ``seen`` grows by their keys."""
    stems = list(dict.fromkeys(map(_stem, sample.images)))
    if "" in stems:
        texts = {_stem(extension) for extension in sample.members if _is_text(extension)}
        stems = [stem for stem in stems if stem and stem in texts]
    elif len(stems) == 1 and sample.key not in seen:
        stems = []  # the only image, under the sample's key
    rest: dict[str, Member] = {}
    parts: dict[str, dict[str, Member]] = {stem: {} for stem in stems}
    for extension, member in sample.members.items():
        owner = _find_owner(extension, parts)
        place = rest if owner is None else parts[owner]
        place[extension if owner is None else extension[len(owner) + 1 :]] = member
    shared = {extension: member for extension, member in rest.items() if _is_text(extension)}
    found = {}
    if not stems or any(map(is_image_name, rest)):
        found[""] = Sample(sample.position, sample.key, rest)
        shared = {}
    for stem, members in parts.items():
        texts_of = {} if any(map(_is_text, members)) else shared
        found[stem] = Sample(sample.position, f"{sample.key}.{stem}", members | texts_of)
    for extension, member in sample.repeated:
        one = found.get(_find_owner(extension, parts) or "")
        if one is not None:
            one.repeated.append((extension, member))
    for one in found.values():
        one.error = _find_error(one, seen)
        seen.add(one.key)
    seen.add(sample.key)
    return list(found.values())


def _find_owner(extension: str, stems: Container[str]) -> str | None:
    """The longest of the full names, less the key, that a member's begins with."""
    stem = _stem(extension)
    while stem and stem not in stems:
        stem = _stem(stem)
    return stem or None


def _find_error(sample: Sample, seen: set[str]) -> ExampleError | None:
    names = ", ".join(repr(member.name) for member in list(sample.members.values())[:5])
    if sample.key in seen:
        what = f"an earlier sample of this shard has the key {sample.key!r}; this one is {names}"
        return ExampleError("duplicate_key", what)
    for extension, member in sample.repeated:
        if is_image_name(extension):
            return ExampleError("duplicate_member", f"member {member.name!r} comes twice")
    return None


def _stem(extension: str) -> str:
    return extension.rpartition(".")[0]


def _is_text(extension: str) -> bool:
    return extension.rsplit(".", 1)[-1] in ("txt", "json")


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
    places: dict[str, tuple[int, int]] = {}
    try:
        tar = tarfile.open(fileobj=file, mode="r:", encoding="utf-8")  # noqa: SIM115
        while (info := tar.next()) is not None:
            cast(Any, tar).members = []  # otherwise tarfile remembers every member
            if info.isdir() or _META.match(info.name):
                continue
            member = Member(info.name, info.offset_data, info.size)
            if info.islnk():
                member = _follow_link(info, places)
            elif not info.isreg() or info.issparse():
                what = "is a link" if info.issym() else "has no plain bytes"
                member = member._replace(problem=f"member {info.name!r} {what}")
            else:
                places[_plain_name(info.name)] = (info.offset_data, info.size)
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


def _follow_link(info: tarfile.TarInfo, places: dict[str, tuple[int, int]]) -> Member:
    """A hard link has the bytes of the earlier member that it names, as GNU tar writes them."""
    place = places.get(_plain_name(info.linkname))
    if place is None:
        what = f"member {info.name!r} links to {info.linkname!r}, which is not before it"
        return Member(info.name, info.offset_data, 0, problem=what)
    places[_plain_name(info.name)] = place
    return Member(info.name, *place)


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
