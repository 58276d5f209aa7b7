"""The records of a dataset's or a run's folder, all at once: from its snapshot, as far as that is of today.

``snapshot.json`` holds what the records of a folder said, each with the stamp of its file (`Store.stamps`).
A record counts from it only while its file still has that stamp, so the records stay the truth, and a
snapshot that is old, damaged, of another format or not there costs time and nothing else. One listing tells
what is new; that is read beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NotRequired, TypedDict, TypeVar, cast

from pipeline.base.checksums import find_seal_problem, seal
from pipeline.base.errors import NeuronsError
from pipeline.base.leftovers import HALF_WRITTEN
from pipeline.base.storage import FORMAT, Store
from pipeline.tables.datasets import is_ordinal_name
from pipeline.tables.manifests import DatasetRecord, ShardManifest
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
from pipeline.tables.records import read_record
from pipeline.tables.runs import (
    ClassSetRecord,
    CompactRecord,
    HumanLabelsRecord,
    MergedRecord,
    RunRecord,
    SimilarityRecord,
)

SNAPSHOT = "snapshot.json"
"""In the folder of a dataset or a run."""

_FORM = 1
"""Of what stands in it. One of another form is not used."""

_BEGIN = b'{"format":'
"""Of one; what begins so has a checksum."""

_AT_ONCE = 16
"""Records that are read from an object store at the same time."""

_SHAPES: Mapping[str, Any] = {
    "dataset.json": DatasetRecord,
    "run.json": RunRecord,
    "compact.json": CompactRecord,
    "merged.json": MergedRecord,
    "similarity.json": SimilarityRecord,
}
_SHAPES_BELOW: Mapping[str, Any] = {
    "class_sets": ClassSetRecord,
    "human_labels": HumanLabelsRecord,
}
"""By folder; each holds any number."""

Shape = TypeVar("Shape")


class Snapshot(TypedDict):
    """``snapshot.json``."""

    format: int
    form: int
    records: dict[str, tuple[str, PackedRecord]]
    """By name, each with its stamp."""
    manifests: list[PackedManifests]
    checksum: NotRequired[str]


class Records:
    """The records of a folder, as its files were listed when this was made.

    Args:
        store: The warehouse.
        folder: Of a dataset or a run.
        use: Take from the snapshot what is still so; else every record is read.
    """

    def __init__(self, store: Store, folder: str, use: bool = True) -> None:
        self._store, self.folder = store, folder
        self._stamps = {"": store.stamps(folder)}
        self._known = _read_snapshot(store, folder) if use and self.has(SNAPSHOT) else {}

    def has(self, name: str) -> bool:
        """Whether there is a record of a name, such as ``run.json``."""
        return name in self._stamps[""]

    def half_written(self) -> list[str]:
        """Names of snapshots that a killed process was writing."""
        names = (name for name in self._stamps[""] if name.startswith(SNAPSHOT))
        return [name for name in names if HALF_WRITTEN.match(name)]

    def folders(self, prefix: str) -> list[str]:
        """Paths of the folders inside whose names begin so."""
        return [
            f"{self.folder}/{name}" for name in sorted(self._stamps[""]) if name.startswith(prefix)
        ]

    def read(self, name: str, shape: type[Shape]) -> Shape:
        """A record that is there.

        Raises:
            NeuronsError: It is damaged, or a newer version's.
        """
        below, _, file = name.rpartition("/")
        stamp, known = self._stamps[below].get(file, ""), self._known.get(name)
        if known is not None and stamp and known.stamp == stamp:
            return cast(Shape, known.value)
        return read_record(self._store, f"{self.folder}/{name}", shape)

    def read_all(self, below: str, shape: type[Shape]) -> list[Shape]:
        """All records in a folder of them, such as ``class_sets``, by name.

        Raises:
            NeuronsError: One is damaged, or a newer version's.
        """
        names = (f"{below}/{name}" for name in self._list(below) if name.endswith(".json"))
        return [self.read(name, shape) for name in names]

    def has_manifests(self) -> bool:
        """Whether a shard has a manifest, or a file that is called like one."""
        return any(name.endswith(".json") for name in self._list("manifests"))

    def manifests(self) -> dict[int, ShardManifest]:
        """By shard, in order.

        Raises:
            NeuronsError: One is damaged, or a newer version's.
        """
        found: dict[int, ShardManifest] = {}
        todo: list[str] = []
        self._list("manifests")
        for name, stamp in self._stamps["manifests"].items():
            known = self._known.get(MANIFESTS + name)
            if known is not None and known.stamp == stamp:
                found[_ordinal(name)] = known.value
            elif is_ordinal_name(name):
                todo.append(name)
        todo.sort(key=_ordinal)
        found.update(zip(map(_ordinal, todo), self._read_each(todo), strict=True))
        return {ordinal: found[ordinal] for ordinal in sorted(found)}

    def _read_each(self, names: Sequence[str]) -> Iterable[ShardManifest]:
        def read(name: str) -> ShardManifest:
            return read_record(self._store, f"{self.folder}/manifests/{name}", ShardManifest)

        if self._store.is_local or len(names) < 2:
            return [read(name) for name in names]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(_AT_ONCE, len(names))) as pool:
            return list(pool.map(read, names))

    def _list(self, below: str) -> list[str]:
        if below not in self._stamps:
            is_there = below in self._stamps[""]
            self._stamps[below] = self._store.stamps(f"{self.folder}/{below}") if is_there else {}
        return sorted(self._stamps[below])

    def all(self) -> Iterator[tuple[str, Known]]:
        """Every record that is good, by its name, with the stamp that its file had before it was read."""
        named = [(name, shape) for name, shape in _SHAPES.items() if self.has(name)]
        named += [
            (f"{below}/{name}", shape)
            for below, shape in _SHAPES_BELOW.items()
            for name in self._list(below)
            if name.endswith(".json")
        ]
        manifests = [name for name in self._list("manifests") if is_ordinal_name(name)]
        named += [(f"manifests/{name}", ShardManifest) for name in manifests]
        for name, shape in named:
            below, _, file = name.rpartition("/")
            if stamp := self._stamps[below][file]:
                try:
                    yield name, Known(stamp, self.read(name, shape))
                except NeuronsError:
                    continue  # who needs it is told

    def count_news(self) -> int:
        """Records that the snapshot does not have as they are, and those that it has and are gone."""
        now = {
            f"{below}/{name}".lstrip("/"): stamp
            for below in ("", "manifests", *_SHAPES_BELOW)
            for name in self._list(below)
            if (stamp := self._stamps[below][name]) and _is_record(below, name)
        }
        then = {name: known.stamp for name, known in self._known.items()}
        return len(then.items() ^ now.items())

    def __len__(self) -> int:
        """How many the snapshot holds."""
        return len(self._known)


def _ordinal(name: str) -> int:
    return int(name.removesuffix(".json"))


def _is_record(below: str, name: str) -> bool:
    if not below:
        return name in _SHAPES
    return is_ordinal_name(name) if below == "manifests" else name.endswith(".json")


def write_snapshots(store: Store) -> None:
    """Bring the snapshots of all datasets and runs up to date."""
    for folder in list_folders(store):
        write_snapshot(store, folder)


def list_folders(store: Store) -> Iterator[str]:
    """The folders of all datasets and runs."""
    for name in store.list(""):
        if name.startswith("dataset="):
            yield name
            yield from (f"{name}/{run}" for run in store.list(name) if run.startswith("run_id="))


def write_snapshot(store: Store, folder: str, growth: float = 0) -> bool:
    """Write down what the records of a folder say, if the snapshot does not say so already.

    It serves only speed: where it cannot be written, nothing is lost.

    Args:
        store: The warehouse.
        folder: Of a dataset or a run.
        growth: Only if more has changed than this share of what the snapshot holds: who calls often
            writes little.

    Returns:
        Whether one was written.
    """
    records = Records(store, folder)
    is_there = records.has("dataset.json") or records.has("run.json")
    if not is_there or records.count_news() <= growth * len(records):
        return False
    for name in records.half_written():  # if its writer lives, it goes without
        with suppress(OSError):
            store.delete(f"{folder}/{name}")
    manifests: list[tuple[str, Known]] = []
    others: dict[str, tuple[str, PackedRecord]] = {}
    for name, known in records.all():
        if name.startswith("manifests/"):
            manifests.append((name, known))
        else:
            others[name] = (known.stamp, pack_record(known.value))
    record: Snapshot = {
        "format": FORMAT,
        "form": _FORM,
        "records": others,
        "manifests": [pack_manifests(group) for group in alike(manifests)],
    }
    back: dict[str, Known] = {}
    for group in record["manifests"]:
        unpack_manifests(group, back)
    if back != dict(manifests):
        return False  # something else wrote manifests; such are read one by one
    try:
        store.write_bytes(f"{folder}/{SNAPSHOT}", seal(record, is_compact=True))
    except NeuronsError:
        return False
    return True


def _read_snapshot(store: Store, folder: str) -> dict[str, Known]:
    """What a snapshot says, by record; nothing if it is not whole."""
    try:
        data = store.read_bytes(f"{folder}/{SNAPSHOT}")
    except (NeuronsError, OSError):
        return {}
    if not data.startswith(_BEGIN) or find_seal_problem(data):
        return {}
    value: Snapshot = json.loads(data)
    if (value["format"], value.get("form")) != (FORMAT, _FORM):
        return {}
    known = {
        name: Known(stamp, unpack_record(packed))
        for name, (stamp, packed) in value["records"].items()
    }
    for group in value["manifests"]:
        unpack_manifests(group, known)
    return known


def find_snapshot_problem(store: Store, folder: str, said: Mapping[str, Any] | None = None) -> str:
    """What is wrong with a snapshot, as the rest of a sentence; empty if nothing is, or there is none.

    Args:
        store: The warehouse.
        folder: Of a dataset or a run.
        said: What its records say, by name, as they were read just now; read here if None.
    """
    records = Records(store, folder)
    if not records.has(SNAPSHOT):
        return ""
    try:
        data = store.read_bytes(f"{folder}/{SNAPSHOT}")
    except (NeuronsError, OSError) as error:
        return f"cannot be read: {error}"
    if problem := find_seal_problem(data):
        return problem
    if not data.startswith(_BEGIN):
        return "is not what we write there"
    then = dict(records.all())
    if said is None:
        said = {name: one.value for name, one in Records(store, folder, use=False).all()}
    for name, value in said.items():
        if name in then and then[name].value != value:
            now = dict(Records(store, folder, use=False).all()).get(name)  # it may be new since
            if now is not None and now.stamp == then[name].stamp and now.value != then[name].value:
                return f"does not say what {name} says"
    return ""
