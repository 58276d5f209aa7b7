"""Records of many shards in few bytes: what repeats from one to the next is written once.

At 11,500 shards that is a fifth of the bytes of their manifests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NotRequired, TypedDict, cast

_SHARD = "\0"
"""In the path of a file, for the number of its shard: no path has it."""

MANIFESTS = "manifests/"
"""How the names of manifests begin."""


class Packed(TypedDict):
    """Rows with the same fields, by columns."""

    count: int
    same: Mapping[str, Any]
    """What all rows have."""
    each: Mapping[str, list[Any]]


class PackedRecord(TypedDict):
    """A record that is no manifest."""

    value: Mapping[str, Any]
    shards: NotRequired[Packed]
    """A dataset's list, which ``value`` lacks then."""


class PackedManifests(TypedDict):
    """Manifests that are alike: the same fields, and files of the same tables."""

    names: list[str]
    """The numbers that they are called by."""
    stamps: list[str]
    manifests: Packed
    """Without their files."""
    files: list[Packed]
    """For each place in a manifest's list of files, the file of every manifest."""


class Known(NamedTuple):
    """A record as it was when its file had a stamp."""

    stamp: str
    value: Any
    content: str = ""
    """What a bucket says of a file of these bytes, where that is known."""


def pack_record(value: Mapping[str, Any]) -> PackedRecord:
    """A record whose list of shards, if it has one, is written by columns."""
    if not value.get("shards"):
        return {"value": value}
    rest = {name: part for name, part in value.items() if name != "shards"}
    return {"value": rest, "shards": _pack(value["shards"])}


def unpack_record(packed: PackedRecord) -> Mapping[str, Any]:
    """What `pack_record` was given."""
    if "shards" not in packed:
        return packed["value"]
    return {**packed["value"], "shards": _unpack(packed["shards"])}


def _pack(rows: Sequence[Mapping[str, Any]]) -> Packed:
    """Rows with the same fields, by columns; one value where all have it."""
    same: dict[str, object] = {}
    each: dict[str, list[Any]] = {}
    for name, value in rows[0].items():
        column = [row[name] for row in rows]
        if all(cell == value and type(cell) is type(value) for cell in column):
            same[name] = value
        else:
            each[name] = column
    return {"count": len(rows), "same": same, "each": each}


def _unpack(packed: Packed) -> list[dict[str, object]]:
    same = dict(packed["same"])
    rows = [same.copy() for _ in range(packed["count"])]
    for name, column in packed["each"].items():
        for row, value in zip(rows, column, strict=True):
            row[name] = value
    return rows


def alike(manifests: Iterable[tuple[str, Known]]) -> Iterator[list[tuple[str, Known]]]:
    """Groups of manifests that have the same fields, and files of the same tables and fields."""
    groups: dict[object, list[tuple[str, Known]]] = {}
    for name, known in manifests:
        value = known.value
        files = tuple((*file, file["table"], file.get("layer")) for file in value["files"])
        groups.setdefault((tuple(value), files), []).append((name, known))
    yield from groups.values()


def pack_manifests(group: Sequence[tuple[str, Known]]) -> PackedManifests:
    """Manifests of one group of `alike`, by their names, as columns."""
    values = [known.value for _, known in group]
    rest = [{name: part for name, part in v.items() if name != "files"} for v in values]
    files = [
        [_with_pattern(file, _number(name)) for file in known.value["files"]]
        for name, known in group
    ]
    return {
        "names": [_number(name) for name, _ in group],
        "stamps": [known.stamp for _, known in group],
        "manifests": _pack(rest),
        "files": [_pack(column) for column in zip(*files, strict=True)],
    }


def unpack_manifests(group: PackedManifests, known: dict[str, Known]) -> None:
    """Add what `pack_manifests` was given, by name."""
    numbers = group["names"]
    columns = []
    for packed in group["files"]:
        entries = _unpack(packed)
        for entry, number in zip(entries, numbers, strict=True):
            entry["path"] = cast(str, entry["path"]).replace(_SHARD, number)
        columns.append(entries)
    rows = [list(row) for row in zip(*columns, strict=True)] if columns else None
    manifests = _unpack(group["manifests"])
    for place, (number, stamp, manifest) in enumerate(
        zip(numbers, group["stamps"], manifests, strict=True)
    ):
        manifest["files"] = rows[place] if rows else []
        known[f"{MANIFESTS}{number}.json"] = Known(stamp, manifest)


def _number(name: str) -> str:
    """``00007`` of ``manifests/00007.json``."""
    return name.removeprefix("manifests/").removesuffix(".json")


def _with_pattern(file: Mapping[str, Any], number: str) -> Mapping[str, Any]:
    """A file whose name has `_SHARD` for the number of its shard."""
    folder, _, name = file["path"].rpartition("/")
    return {**file, "path": f"{folder}/{name.replace(number, _SHARD, 1)}"}
