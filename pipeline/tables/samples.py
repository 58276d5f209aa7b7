"""What the names of a tar's members mean: which of them are one sample, and which images a sample has."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.base.errors import ExampleError
from pipeline.base.names import is_image_name

_NAME = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$", re.DOTALL)


class Member(NamedTuple):
    """One file of a sample."""

    name: str
    offset: int
    """Where its bytes begin in the tar; those of a hard link are its target's."""
    size: int
    """Its length in bytes."""
    data: bytes | None = None
    """Its bytes; None if ``wanted`` declined its extension, or if it has a problem."""
    problem: ExampleError | None = None
    """Why it has no bytes to read, such as a link to nothing; None if it has."""


@dataclass
class Sample:
    """Neighbouring members of a tar that share a key."""

    position: int
    """Place in the shard, see `pipeline.tables.tars.read_samples`."""
    key: str
    members: dict[str, Member] = field(default_factory=dict)
    """By lower-case extension, in the order of the tar."""
    error: ExampleError | None = None
    """Why the sample cannot be used, if the tar itself says so."""
    repeated: list[tuple[str, Member]] = field(default_factory=list)
    """Members whose extension an earlier one of the sample has already; they are not read."""

    def tell_repeated(self, extension: str, member: Member) -> str:
        """Of which member one of `repeated` is the second; names that differ in case alone are one."""
        first = self.members.get(extension, member)
        if first.name == member.name:
            return f"member {member.name!r} comes twice"
        return f"members {first.name!r} and {member.name!r} are one name but for case"

    @property
    def images(self) -> list[str]:
        """Extensions of its images: first the one that is the example, see `part_images`."""
        found = [extension for extension in self.members if is_image_name(extension)]
        return sorted(found, key=lambda extension: "." in extension)


def split_name(name: str) -> tuple[str, str] | None:
    """Split a member's name at its first dot, as webdataset does: ``a/b.v2.jpg`` is (a/b, v2.jpg).

    Returns:
        (key, extension in lower case), or None for a name without an extension.
    """
    match = _NAME.match(name)
    return (match[1], match[2].lower()) if match else None


def is_text_name(extension: str) -> bool:
    """Whether an extension without its leading dot, ``txt``, ``de.txt`` or ``jpg.json``, is a text's."""
    return extension.rsplit(".", 1)[-1].lower() in ("txt", "json")


def name_records(image: str) -> tuple[str, ...]:
    """Extensions of the JSON that belongs to an image: first the one under its full name.

    For ``jpg`` they are ``jpg.json`` and ``json``; for ``v2.jpg`` ``v2.jpg.json``, ``v2.json`` and ``json``.

    Args:
        image: The image's extension.
    """
    stems = dict.fromkeys((image, _stem(image), ""))
    return tuple(f"{stem}.json".lstrip(".") for stem in stems)


def part_images(sample: Sample, seen: set[str]) -> list[Sample]:
    """The samples that one is, if it holds several images; see `pipeline.tables.tars.read_samples`.

    Args:
        sample: All members that share a key.
        seen: Keys of the samples before it; it grows.

    Returns:
        The sample itself, unless none of it is left; those with a dotted key by their stems
        (``a.1.jpg`` is ``a.1``); last those that stand beside an image of the same stem and have a text
        of their full name (``a.png`` beside ``a.jpg``, with ``a.png.txt``).
    """
    parts = _part_stems(sample, seen)
    twins = [twin for part in parts for twin in _part_twins(part)]
    for one in (*parts, *twins):
        one.error = _find_error(one, seen)
        seen.add(one.key)
    seen.add(sample.key)
    return [*parts, *twins]


def _part_stems(sample: Sample, seen: set[str]) -> list[Sample]:
    stems = list(dict.fromkeys(map(_stem, sample.images)))
    if "" in stems:
        texts = {_stem(extension) for extension in sample.members if is_text_name(extension)}
        texts |= {_stem(name) for name in texts & set(sample.images)}  # a.1.jpg.txt of a.1.jpg
        stems = [stem for stem in stems if stem and stem in texts]
    elif len(stems) == 1 and sample.key not in seen:
        stems = []  # the only image, under the sample's key
    rest: dict[str, Member] = {}
    parts: dict[str, dict[str, Member]] = {stem: {} for stem in stems}
    for extension, member in sample.members.items():
        owner = _find_owner(extension, parts)
        place = rest if owner is None else parts[owner]
        place[extension if owner is None else extension[len(owner) + 1 :]] = member
    shared = {extension: member for extension, member in rest.items() if is_text_name(extension)}
    found = {}
    if not stems or any(map(is_image_name, rest)):
        found[""] = Sample(sample.position, sample.key, rest)
        shared = {}
    for stem, members in parts.items():
        texts_of = {} if any(map(is_text_name, members)) else shared
        found[stem] = Sample(sample.position, f"{sample.key}.{stem}", members | texts_of)
    for extension, member in sample.repeated:
        owner = _find_owner(extension, parts)
        one = found.get(owner or "")
        if one is not None:
            one.repeated.append((extension[len(owner) + 1 :] if owner else extension, member))
    return list(found.values())


def _part_twins(sample: Sample) -> list[Sample]:
    """Take out of a sample each further image that has a text of its full name."""
    twins = []
    for image in sample.images[1:]:
        own = {e: member for e, member in sample.members.items() if _is_of(e, image)}
        if "." in image or not any(map(is_text_name, own)):
            continue
        twin = Sample(sample.position, f"{sample.key}.{image}")
        twin.members = {
            _name_in_twin(extension, image): member for extension, member in own.items()
        }
        twin.repeated = [
            (_name_in_twin(e, image), member) for e, member in sample.repeated if _is_of(e, image)
        ]
        sample.repeated = [(e, member) for e, member in sample.repeated if not _is_of(e, image)]
        for extension in own:
            del sample.members[extension]
        twins.append(twin)
    return twins


def _is_of(extension: str, image: str) -> bool:
    return extension == image or extension.startswith(f"{image}.")


def _name_in_twin(extension: str, image: str) -> str:
    return image if extension == image else extension[len(image) + 1 :]


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
            return ExampleError("duplicate_member", sample.tell_repeated(extension, member))
    return None


def _stem(extension: str) -> str:
    return extension.rpartition(".")[0]
