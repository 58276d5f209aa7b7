"""Materialising the expensive marts, and the same views as a script for the plain DuckDB shell.

A build goes part by part (`warehouse.parts`): datasets, runs, pairs of runs, the whole. The name of a
file tells what it was made from, so what is there and whole is kept, whoever made it: the last build, one
that was killed, or `build_part` in another process.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import duckdb

from pipeline.base.faults import faults_told
from pipeline.base.leftovers import HALF_WRITTEN, clear_half_written
from pipeline.base.locks import hold_lock
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.base.warn import warn_once
from pipeline.tables.manifests import BuildRecord, FileEntry, adopt_file, make_entry
from pipeline.tables.snapshots import write_snapshots
from pipeline.upkeep.blocks import Block, list_blocks, write_block
from pipeline.upkeep.hold import hold_index
from pipeline.upkeep.marts import Made, find_before, write_mart
from pipeline.upkeep.script import write_views_script
from pipeline.upkeep.settle import settle
from pipeline.warehouse.connect import open_views, take_whole_inventory
from pipeline.warehouse.contents import Inventory
from pipeline.warehouse.fresh import Marts, find_marts
from pipeline.warehouse.inventory import take_inventory
from pipeline.warehouse.last_build import RECORD, Build, read_build
from pipeline.warehouse.own_concepts import load_lexicon_table
from pipeline.warehouse.parts import LEXICON, MART, Fingerprints, Part, list_parts
from pipeline.warehouse.views import MATERIALISED, TITLE, write_dictionary

DICTIONARY = "README.md"
"""What every view and column means, in the warehouse itself."""


@dataclass(frozen=True)
class BuildSummary:
    """What a build wrote."""

    row_counts: Mapping[str, int]
    """Of every mart, in all parts."""
    was_current: bool
    """Nothing had changed since the last build, so nothing was done."""
    built: tuple[str, ...] = ()
    """Parts of which something was made, as `Part.told` names them."""
    settled: tuple[str, ...] = ()
    """What was merged and sorted first, in words; see `settle`."""
    made: tuple[Made, ...] = ()
    """Marts that were made, in order."""
    grown: frozenset[Part] = frozenset()
    """Of these parts, those that an earlier build had made, and that have other shards now."""


def build(
    warehouse: str | Path,
    settings: LabelSettings | None = None,
    progress: ProgressCallback | None = None,
) -> BuildSummary:
    """Write the expensive marts as Parquet, ``views.sql`` for the plain DuckDB shell, and what every view
    and column means into ``README.md``; first merge and sort what it rests on, where that pays (`settle`).

    Args:
        warehouse: Folder or URL.
        settings: Parameters of the labelling views; those of the last build if None.
        progress: Told of every mart that is made.

    Raises:
        WarehouseError: There is nothing to build from.
    """
    store, progress = Store(warehouse), progress or NoProgress()
    take_inventory(store)  # says what is missing before anything is written
    # Alone: a second build would clear away what the first writes.
    with hold_lock(store, "marts/build.lock") as lock:
        for name in ("views.sql", DICTIONARY, "build.json"):
            clear_half_written(store, lock, "marts" * (name == "build.json"), prefix=name)
        write_snapshots(store)
        settled = settle(take_whole_inventory(store), progress)
        return replace(_build(store, settings, progress), settled=tuple(settled))


def find_stale(warehouse: str | Path, settings: LabelSettings | None = None) -> list[Part]:
    """The parts of which a build would make something, in its order; settings as of `build`."""
    store = Store(warehouse)
    last = read_build(store)
    settings = settings or (last.settings if last else LabelSettings())
    return find_marts(take_whole_inventory(store), settings, last).stale


def build_part(
    warehouse: str | Path,
    part: Part,
    settings: LabelSettings | None = None,
    progress: ProgressCallback | None = None,
    before: str | None = None,
) -> None:
    """Write the marts of one part, beside other processes that write others; `build` then takes them up.

    Args:
        warehouse: Folder or URL.
        part: One of `parts.list_parts`; its dataset is built before its runs.
        settings: Parameters of the labelling views; those of the last build if None.
        progress: Told of every mart that is made.
        before: Only those that come before this mart.
    """
    _start_work(warehouse, settings, progress).make(part, before)


def list_stale_blocks(
    warehouse: str | Path, part: Part, settings: LabelSettings | None = None
) -> list[Block]:
    """What of the marts of a part, that a build would make, can be made block by block; see `build_block`."""
    work = _start_work(warehouse, settings, None)
    return [
        block for name in work.find_lacking(part) for block in list_blocks(work.names, part, name)
    ]


def build_block(
    warehouse: str | Path, part: Part, block: Block, settings: LabelSettings | None = None
) -> None:
    """Write a block of a mart, beside processes that write others; a whole one that is there stays.

    Args:
        warehouse: Folder or URL.
        part: Of which it is.
        block: One of `list_stale_blocks`; the marts before its own are built.
        settings: Parameters of the labelling views; those of the last build if None.
    """
    work = _start_work(warehouse, settings, None)
    with work.open_part(part) as views:
        write_block(views, work.names, block)


def _start_work(
    warehouse: str | Path, settings: LabelSettings | None, progress: ProgressCallback | None
) -> _Work:
    store = Store(warehouse)
    inventory, last = take_whole_inventory(store), read_build(store)
    settings = settings or (last.settings if last else LabelSettings())
    return _Work(store, inventory, settings, last, progress or NoProgress())


def _build(
    store: Store, settings: LabelSettings | None, progress: ProgressCallback
) -> BuildSummary:
    inventory, last = take_whole_inventory(store), read_build(store)
    settings = settings or (last.settings if last else LabelSettings())
    work = _Work(store, inventory, settings, last, progress)
    stale, were = work.marts.stale, work.last.runs
    grown = [
        part for part in stale if were.get(part.told, "") not in ("", work.names.data_of(part))
    ]
    lexicon = work.write_lexicon()
    progress.start("build", sum(len(part.marts) for part in stale))
    try:
        for part in stale:
            work.make(part)
            work.write_record()
    finally:
        progress.finish()
    work.write_record()
    _write_words(inventory, settings, work.marts, lexicon)
    work.drop_the_rest()
    rows = Counter(dict.fromkeys(MATERIALISED, 0))
    for file in work.files.values():
        if file["table"] != LEXICON:
            rows[file["table"]] += file["row_count"]
    return BuildSummary(
        row_counts=dict(rows),
        was_current=not stale,
        built=tuple(part.told for part in stale),
        made=tuple(work.made),
        grown=frozenset(grown),
    )


class _Work:
    """What a build knows: the marts that are there, and how to make those that are not."""

    def __init__(
        self,
        store: Store,
        inventory: Inventory,
        settings: LabelSettings,
        last: Build | None,
        progress: ProgressCallback,
    ) -> None:
        self.store, self.inventory, self.settings = store, inventory, settings
        self.progress = progress
        self.marts = find_marts(inventory, settings, last)
        self.names = Fingerprints(inventory, settings)
        self.last = last or Build(settings, {}, {}, frozenset())
        self.written = self.last
        fresh = {path for found in self.marts.files.values() for path in found.values()}
        self.files = {path: file for path, file in self.last.files.items() if path in fresh}
        """All that is fresh, by path."""
        self.made: list[Made] = []

    def make(self, part: Part, until: str | None = None) -> None:
        """Make the marts that a part lacks; of these only what comes before one, if it is given."""
        wanted = part.marts[: part.marts.index(until)] if until else part.marts
        with hold_lock(self.store, f"{part.folder}/build.lock") as lock:
            clear_half_written(self.store, lock, part.folder)
            lacking = [name for name in self.find_lacking(part) if name in wanted]
            self.progress.advance(len(wanted) - len(lacking))
            if not lacking:
                return
            with faults_told(self.store.url), self.open_part(part) as views:
                for name in lacking:
                    began = time.monotonic()
                    before = find_before(self.names, part, name, [*self.last.files.values()])
                    file = write_mart(views, self.names, part, name, before, self.progress)
                    added = len(before.added) if before else None
                    self.made.append(Made(part, name, time.monotonic() - began, added))
                    self._take(part, file)
                    note = f"{part.told}: {name}: {file['row_count']} rows"
                    self.progress.advance(1, note)

    def find_lacking(self, part: Part) -> list[str]:
        """The marts that a part lacks, when those that lie there are taken up."""
        self._adopt(part)
        return [name for name in part.marts if name not in self.marts.files[part]]

    def open_part(self, part: Part) -> duckdb.DuckDBPyConnection:
        """A connection with every view over the data of a part alone, and the marts that there are of it."""
        self._adopt(part)
        if part.runs:
            self._adopt(Part(part.dataset))
        inventory = part.of(self.inventory)
        marts = Marts({one: self.marts.files.get(one, {}) for one in list_parts(inventory)})
        views = open_views(inventory, self.settings, marts)
        if part.runs:
            hold_index(views)
        return views

    def _adopt(self, part: Part) -> None:
        """Take up the marts that a killed build or another process has finished."""
        for name in part.marts:
            if name not in self.marts.files[part]:
                file = adopt_file(self.store, name, self.names.path(part, name))
                if file is not None:
                    self._take(part, file)

    def _take(self, part: Part, file: FileEntry) -> None:
        self.files[file["path"]] = file
        self.marts.files[part][file["table"]] = file["path"]

    def write_lexicon(self) -> str:
        """The lexicon, for ``views.sql``: its path."""
        rel = self.names.path(Part(), LEXICON)
        file = self.last.files.get(rel) or adopt_file(self.store, LEXICON, rel)
        if file is None or not self.store.exists(rel) or self.store.size(rel) != file["bytes"]:
            words = load_lexicon_table(self.inventory.own_concepts)
            file = make_entry(LEXICON, rel, len(words), self.store.write_parquet(rel, words))
        self.files[rel] = file
        return rel

    def write_record(self) -> None:
        """Say which files there are, if that is new: fresh ones, and what is there of parts that are stale."""
        stale = self.marts.stale
        folders = {part.folder for part in stale}
        kept = {p: file for p, file in self.last.files.items() if p.rpartition("/")[0] in folders}
        files = kept | self.files
        runs = {part.told: self.last.runs.get(part.told, "") for part in stale}
        runs |= {p.told: self.names.data_of(p) for p in self.marts.files if p not in stale}
        there = {part.folder for part in self.marts.files}
        gone = self.last.files.keys() - files.keys()
        replaced = frozenset(p for p in gone if "=" not in p or p.rpartition("/")[0] in there)
        replaced = replaced or self.last.replaced
        now = Build(self.settings, files, runs, replaced)
        if now in (self.written, self.last):
            return
        record: BuildRecord = {
            "settings": asdict(self.settings),
            "files": list(files.values()),
            "runs": runs,
            "replaced": sorted(replaced),
        }
        self.store.write_record(RECORD, record, with_copy=True)  # the settings are nowhere else
        self.written = now

    def drop_the_rest(self) -> None:
        """Remove marts that nobody reads: not the fresh ones, and not those that they replaced.

        Blocks go too, and what a killed task has written of one.
        """
        keep = self.written.files.keys() | self.written.replaced
        for rel, _ in self.store.walk("marts"):
            is_half_a_block = "/blocks/" in rel and HALF_WRITTEN.match(rel)
            if (MART.match(rel) and rel not in keep) or is_half_a_block:
                self.store.delete(rel)
        self.store.drop_empty_folders("marts")


def _write_words(inventory: Inventory, settings: LabelSettings, marts: Marts, lexicon: str) -> None:
    """The views as a script, and what they mean."""
    store = inventory.store
    _write_if_new(store, "views.sql", write_views_script(inventory, settings, marts, lexicon))
    if store.exists(DICTIONARY):
        with store.open(DICTIONARY) as file:
            is_ours = file.read(len(TITLE)) == TITLE.encode()
        if not is_ours:
            warn_once(
                f"{store.uri(DICTIONARY)} is not ours: it is left as it is, and the data dictionary is "
                "not written. Rename it and build again to have both."
            )
            return
    _write_if_new(store, DICTIONARY, write_dictionary())


def _write_if_new(store: Store, name: str, text: str) -> None:
    data = text.encode()
    if store.exists(name):
        with store.open(name) as file:
            if file.read() == data:
                return
    store.write_bytes(name, data)
