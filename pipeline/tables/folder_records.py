"""The records of a dataset's or a run's folder, all at once: from its snapshot, as far as that is of today.

In a folder one listing of the manifests tells which are as they were. A bucket would be asked once for every
thousand of them, so there the last snapshot is believed, and only manifests of which there is news are
read beside it (`news`). So it is in a copy of a folder, where all files have other times and inodes;
there names and sizes are compared as well, and times if the copy has kept them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, TypeVar, cast

from pipeline.base.checksums import find_seal_problem, read_seal
from pipeline.base.errors import NeuronsError
from pipeline.base.leftovers import HALF_WRITTEN
from pipeline.base.storage import Store
from pipeline.tables.manifest_files import is_ordinal_name
from pipeline.tables.manifests import DatasetRecord, ShardManifest
from pipeline.tables.measured import (
    AblationRecord,
    ClassSetRecord,
    EffectRecord,
    FacetProbeRecord,
    FigureRecord,
    HumanLabelsRecord,
    SimilarityRecord,
    SupportRecord,
    VisualisationRecord,
)
from pipeline.tables.news import list_news
from pipeline.tables.packing import MANIFESTS, Known
from pipeline.tables.records import read_record
from pipeline.tables.runs import CompactRecord, MergedRecord, RunRecord
from pipeline.tables.snapshot_files import (
    Snapshot,
    content_of,
    is_snapshot,
    read_snapshot,
)

_AT_ONCE = 16
"""Records that are read from an object store at the same time."""

_TRIES = 3
"""Listings until one names a snapshot that is still there when it is read."""

_SHAPES: Mapping[str, Any] = {
    "dataset.json": DatasetRecord,
    "run.json": RunRecord,
    "compact.json": CompactRecord,
    "merged.json": MergedRecord,
    "similarity.json": SimilarityRecord,
}
_SHAPES_BELOW: Mapping[str, Any] = {
    "class_sets": ClassSetRecord,
    "effects": EffectRecord,
    "figures": FigureRecord,
    "ablations": AblationRecord,
    "human_labels": HumanLabelsRecord,
    "support": SupportRecord,
    "facet_probes": FacetProbeRecord,
    "visualisations": VisualisationRecord,
}
"""By folder; each holds any number."""

Shape = TypeVar("Shape")


class Records:
    """The records of a folder, as its files were listed when this was made.

    Args:
        store: The warehouse.
        folder: Of a dataset or a run.
        use: Take from the snapshot what is still so; else every record is read.
        by_stamps: Believe of it only records whose files have the stamps that they had, wherever
            the folder lies.
    """

    def __init__(
        self, store: Store, folder: str, use: bool = True, by_stamps: bool = False
    ) -> None:
        self._store, self.folder = store, folder
        for _ in range(_TRIES):
            self._stamps = {"": store.stamps(folder)}
            self.news = list_news(self._stamps[""])
            try:
                self.snapshot = read_snapshot(store, folder, self._stamps[""])
                break
            except FileNotFoundError:  # somebody replaced it just now
                continue
        else:
            self.snapshot = Snapshot()
        self._known = self.snapshot.known if use else {}
        is_believed = use and self.snapshot.is_last and not by_stamps
        self._is_listed = store.is_local or not is_believed
        self._is_copy = (
            is_believed and store.is_local and self.snapshot.place != store.place_of(folder)
        )
        said = {
            name[len(MANIFESTS) : -len(".json")]: one.value
            for name, one in (self._known.items() if self.news else ())
            if name.startswith(MANIFESTS)
        }
        self._newer = {f"{one.number}.json" for one in self.news if not one.is_in(said)}

    def has(self, name: str) -> bool:
        """Whether there is a record of a name, such as ``run.json``."""
        return name in self._stamps[""]

    def stamp(self, name: str) -> str | None:
        """Of the file of a record, or a copy of one; None if there is none."""
        below, _, file = name.rpartition("/")
        self._list(below)
        return self._stamps[below].get(file)

    def find_unchanged(self, name: str) -> Mapping[str, Any] | None:
        """What a record says whose file has the stamp that it had; else None."""
        known, stamp = self._known.get(name), self.stamp(name)
        return known.value if known is not None and stamp and _is_of(known, stamp) else None

    def is_as_listed(self, name: str) -> bool:
        """Whether a file in the folder is still what it was when this was made."""
        return self._store.stamps(self.folder).get(name) == self._stamps[""].get(name)

    def half_written(self) -> list[str]:
        """Names of snapshots that a killed process was writing."""
        names = (name for name in self._stamps[""] if is_snapshot(name))
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
        stamp, known = self._stamps.get(below, {}).get(file, ""), self._known.get(name)
        if known is not None and (_is_of(known, stamp) or self._is_same_content(name, known)):
            return cast(Shape, known.value)
        return read_record(self._store, f"{self.folder}/{name}", shape)

    def _is_same_content(self, name: str, known: Known) -> bool:
        """Whether a copy of a file holds what is known: its bytes are read, and need not be understood."""
        if not self._is_copy or "checksum" not in known.value:
            return False
        data = self._store.read_bytes(f"{self.folder}/{name}")
        return read_seal(data) == known.value["checksum"] and not find_seal_problem(data)

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
        found, todo = self._sort_manifests()
        for name, manifest in zip(todo, self._read_each(todo), strict=True):
            if manifest is not None:
                found[_ordinal(name)] = manifest
        return {ordinal: found[ordinal] for ordinal in sorted(found)}

    def _sort_manifests(self) -> tuple[dict[int, ShardManifest], list[str]]:
        """Those that are known, and the names of those that are to be read."""
        found: dict[int, ShardManifest] = {}
        if not self._is_listed:
            for name, known in self._known.items():
                if (
                    name.startswith(MANIFESTS)
                    and (file := name[len(MANIFESTS) :]) not in self._newer
                ):
                    found[_ordinal(file)] = known.value
            return found, sorted(self._newer, key=_ordinal)
        todo = []
        self._list("manifests")
        for name, stamp in self._stamps["manifests"].items():
            one = self._known.get(MANIFESTS + name)
            if one is not None and (stamp == one.stamp or self._is_as_known(name, one, stamp)):
                found[_ordinal(name)] = one.value
            elif is_ordinal_name(name):
                todo.append(name)
        return found, sorted(todo, key=_ordinal)

    def _is_as_known(self, name: str, known: Known, stamp: str) -> bool:
        if _is_of(known, stamp):
            return True
        if not self._is_copy or name in self._newer:
            return False
        return _is_same_size(stamp, known.stamp) and (
            not self._has_times or _is_same_time(stamp, known.stamp)
        )

    @cached_property
    def _has_times(self) -> bool:
        """Whether the copy was made with the times of the files: then another time is another file."""
        names = ("dataset.json", "run.json", *(MANIFESTS + n for n in self._stamps["manifests"]))
        for name in names:
            below, _, file = name.rpartition("/")
            stamp, known = self._stamps[below].get(file, ""), self._known.get(name)
            if known and _is_same_size(stamp, known.stamp) and _is_same_time(stamp, known.stamp):
                return True
        return False

    def _read_each(self, names: Sequence[str]) -> Iterable[ShardManifest | None]:
        """None for those that are not there."""

        def read(name: str) -> ShardManifest | None:
            try:
                return read_record(self._store, f"{self.folder}/manifests/{name}", ShardManifest)
            except FileNotFoundError:
                return None  # it goes just now; or there is news of one that its writer did not come to

        if self._store.is_local or len(names) < 2:
            return [read(name) for name in names]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(_AT_ONCE, len(names))) as pool:
            return list(pool.map(read, names))

    def _list(self, below: str) -> list[str]:
        if below not in self._stamps:
            # manifests may have come since the folder was listed, and a snapshot with them
            is_there = below == "manifests" or below in self._stamps[""]
            self._stamps[below] = self._store.stamps(f"{self.folder}/{below}") if is_there else {}
        return sorted(self._stamps[below])

    def all(self) -> Iterator[tuple[str, Known]]:
        """Every record that is good, by its name, with the stamp that its file had before it was read."""
        names = (name for name in self._list("manifests") if is_ordinal_name(name))
        manifests = ((MANIFESTS + name, ShardManifest) for name in names)
        for name, shape in (*self._named_others(), *manifests):
            below, _, file = name.rpartition("/")
            if stamp := self._stamps[below][file]:
                try:
                    value = self.read(name, shape)
                except (NeuronsError, FileNotFoundError):
                    continue  # who needs it is told
                content = "" if below == "manifests" else content_of(value)
                yield name, Known(stamp, value, content)

    def seen(self) -> dict[str, object]:
        """What who opens the folder takes the records to say, by name; without those that are damaged."""
        found, todo = self._sort_manifests()
        values: dict[str, object] = {f"{MANIFESTS}{n:05d}.json": one for n, one in found.items()}
        newer = ((MANIFESTS + name, ShardManifest) for name in todo)
        for name, shape in (*self._named_others(), *newer):
            with suppress(NeuronsError, FileNotFoundError):
                values[name] = self.read(name, shape)
        return values

    def _named_others(self) -> Iterator[tuple[str, Any]]:
        """The name and the shape of every record that is no manifest."""
        yield from ((name, shape) for name, shape in _SHAPES.items() if self.has(name))
        for below, shape in _SHAPES_BELOW.items():
            names = (name for name in self._list(below) if name.endswith(".json"))
            yield from ((f"{below}/{name}", shape) for name in names)

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


def _is_of(known: Known, stamp: str) -> bool:
    """Whether what is known is of a file that has a stamp now."""
    return bool(stamp) and stamp.replace('"', "") in (
        known.stamp.replace('"', ""),
        known.content or None,
    )


def _is_same_size(stamp: str, other: str) -> bool:
    return stamp.split("-")[0] == other.split("-")[0] != ""


def _is_same_time(stamp: str, other: str) -> bool:
    """Whether two stamps of folders are of the same time; some ways of copying keep whole seconds alone."""
    if stamp.count("-") != 2 or other.count("-") != 2:
        return False
    now, then = (int(one.split("-")[1], 16) for one in (stamp, other))
    return now == then or (now % 10**9 == 0 and now == then // 10**9 * 10**9)


def _is_record(below: str, name: str) -> bool:
    if not below:
        return name in _SHAPES
    return is_ordinal_name(name) if below == "manifests" else name.endswith(".json")
