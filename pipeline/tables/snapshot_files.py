"""The file that holds all records of a folder: how it is called, what stands in it, and which is the last.

``snapshot-000012-0123abcd.json``: each has a name of its own, a number above those of all that its writer
saw, and the names of those that it replaces. Of several, the last is the one that replaces all others. If
none does, two were written at the same time, and one of them may lack what the other has: then all
manifests are listed, until somebody writes the next.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

from pipeline.base.checksums import find_seal_problem, seal
from pipeline.base.errors import NeuronsError
from pipeline.base.leftovers import HALF_WRITTEN
from pipeline.base.storage import FORMAT, Store
from pipeline.tables.packing import (
    MANIFESTS,
    Known,
    PackedManifests,
    PackedRecord,
    alike,
    pack_manifests,
    pack_record,
    unpack_manifests,
    unpack_record,
)

OLDER = "snapshot.json"
"""As the version before called it. Where one lies, that version has written here: news may be missing."""

_FORM = 2
"""Of what stands in it; of 1 are those of the version before."""

_BEGIN = b'{"format":'
"""Of one; what begins so has a checksum."""

_NAME = re.compile(r"snapshot-(\d{6,})-[0-9a-f]{8}\.json\Z")

_REMEMBERED = 1_000
"""Names of replaced ones that are kept: copying over an old copy may leave some lying there."""


class SnapshotFile(TypedDict):
    """What stands in one."""

    format: int
    form: int
    place: NotRequired[str]
    """`Store.place_of` its folder: in a copy of it, times and inodes of files say nothing."""
    replaces: NotRequired[list[str]]
    records: dict[str, tuple[str, str, PackedRecord] | tuple[str, PackedRecord]]
    """By name, each with the stamp of its file, and what a bucket would say of the same bytes."""
    manifests: list[PackedManifests]
    checksum: NotRequired[str]


@dataclass(frozen=True)
class Snapshot:
    """What was found in a folder."""

    names: tuple[str, ...] = ()
    """Of all that lie there, whole or not."""
    known: dict[str, Known] = field(default_factory=dict)
    """What the newest that is whole says, by record."""
    is_last: bool = False
    """It replaces all others, and the version before has not written here."""
    place: str = ""
    replaces: tuple[str, ...] = ()


def is_snapshot(name: str) -> bool:
    """Whether a file is called so, also if a killed process was writing it."""
    if HALF_WRITTEN.match(name):
        name = name.rpartition(".tmp-")[0]
    return name == OLDER or bool(_NAME.match(name))


def read_snapshot(store: Store, folder: str, names: Iterable[str]) -> Snapshot:
    """What the snapshots in a folder say.

    Args:
        store: The warehouse.
        folder: Of a dataset or a run.
        names: Of the files in it.

    Raises:
        FileNotFoundError: One was replaced since the folder was listed.
    """
    there = sorted(n for n in names if is_snapshot(n) and not HALF_WRITTEN.match(n))
    newest_first = [name for name in reversed(there) if name != OLDER] + [OLDER] * (OLDER in there)
    for name in newest_first:
        value = decode_snapshot(_read(store, f"{folder}/{name}"))
        if value is None:
            continue
        replaces = value.get("replaces", [])
        is_last = value["form"] == _FORM and {*there} <= {*replaces, name} - {OLDER}
        return Snapshot(
            tuple(there), _unpack(value), is_last, value.get("place", ""), (*replaces, name)
        )
    return Snapshot(tuple(there))


def _read(store: Store, rel: str) -> bytes:
    with suppress(NeuronsError, IsADirectoryError, PermissionError):
        return store.read_bytes(rel)
    return b""


def decode_snapshot(data: bytes) -> SnapshotFile | None:
    """What stands in one; None if it is not whole, or of another form than ours and that before."""
    if not data.startswith(_BEGIN) or find_seal_problem(data):
        return None
    value: SnapshotFile = json.loads(data)
    is_ours = value["format"] <= FORMAT and value.get("form") in (1, _FORM)
    return value if is_ours else None


def _unpack(value: SnapshotFile) -> dict[str, Known]:
    known = {}
    for name, (stamp, *content, packed) in value["records"].items():
        known[name] = Known(stamp, unpack_record(packed), "".join(map(str, content)))
    for group in value["manifests"]:
        unpack_manifests(group, known)
    return known


def encode_snapshot(records: Mapping[str, Known], place: str, replaces: Sequence[str]) -> bytes:
    """One that says what some records say; empty if something else wrote manifests, which none can hold."""
    manifests = {name: one for name, one in records.items() if name.startswith(MANIFESTS)}
    value: SnapshotFile = {
        "format": FORMAT,
        "form": _FORM,
        "place": place,
        "replaces": list(replaces)[-_REMEMBERED:],
        "records": {
            name: (one.stamp, one.content, pack_record(one.value))
            for name, one in records.items()
            if name not in manifests
        },
        "manifests": [pack_manifests(group) for group in alike(manifests.items())],
    }
    back: dict[str, Known] = {}
    for group in value["manifests"]:
        unpack_manifests(group, back)
    return seal({**value}, is_compact=True) if back == manifests else b""


def name_next(names: Collection[str]) -> str:
    """How the next is called, after these."""
    numbers = [int(match[1]) for name in names if (match := _NAME.match(name))]
    return f"snapshot-{max(numbers, default=0) + 1:06d}-{uuid.uuid4().hex[:8]}.json"


def explain_damage(data: bytes) -> str:
    """What is wrong with the bytes of one, as the rest of a sentence; empty if nothing is."""
    return find_seal_problem(data) or ("" if data.startswith(_BEGIN) else "is not what we write")


def content_of(value: Mapping[str, Any]) -> str:
    """What a bucket says of the file of a sealed record: size and MD5; empty if that cannot be known."""
    import hashlib

    if "checksum" not in value:
        return ""
    data = seal(value)
    if f'"{value["checksum"]}"'.encode() not in data[-64:]:
        return ""
    return f"{len(data)}-{hashlib.md5(data, usedforsecurity=False).hexdigest()}"
