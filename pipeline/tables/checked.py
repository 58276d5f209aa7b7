"""What the last check found: which records and copies were good, and what the views answered.

A cache in ``checked.json``; nothing rests on it.
"""

from __future__ import annotations

from typing import TypedDict, cast

from pipeline.base.errors import NeuronsError, StorageError
from pipeline.base.leftovers import clear_half_written
from pipeline.base.locks import take_lock
from pipeline.base.storage import COPY, Store
from pipeline.tables.folder_records import Records
from pipeline.tables.record_list import AnyRecord, Record
from pipeline.tables.records import check_shape
from pipeline.tables.snapshot_files import content_of

MEMORY = "checked.json"


class Answer(TypedDict):
    """What a check view answered."""

    of: str
    """Hash of all that it rests on."""
    count: int
    rows: list[list[str | int | float | bool | None]]
    """The first of them."""


class Checked(TypedDict):
    """``checked.json``."""

    records: dict[str, str]
    """By path, the checksum of a record that was good with all its files; and the stamp of a copy or a
    snapshot that was."""
    answers: dict[str, dict[str, Answer]]
    """By view and dataset; the dataset of rows that name none is empty."""
    shards: dict[str, dict[str, str]]
    """By dataset, seals of the shards in which the views of single shards found nothing."""


def read_checked(store: Store) -> Checked:
    """What the last check found; nothing if that cannot be read."""
    try:
        value = store.read_json(MEMORY)
        check_shape(value, Checked, MEMORY)
    except (NeuronsError, OSError):
        return {"records": {}, "answers": {}, "shards": {}}
    return {
        "records": value["records"],
        "answers": value["answers"],
        "shards": value["shards"],
    }


def keep_checked(store: Store, found: Checked) -> None:
    """Remember it, unless another check does now, or the warehouse may only be read."""
    if found == read_checked(store):
        return
    try:
        lock = take_lock(store, f"{MEMORY}.lock", wait=False)
        if lock is None:
            return
        try:
            clear_half_written(store, lock, "", prefix=MEMORY)
            store.write_json(MEMORY, found)
        finally:
            lock.release()
    except StorageError:
        return


class Unchanged:
    """What may be passed over: records and copies whose files are what they were when they were good.

    Args:
        store: The warehouse.
        known: As `checked.Checked` has it.
    """

    def __init__(self, store: Store, known: dict[str, str]) -> None:
        self.store, self._known = store, known
        self.copies: dict[str, str] = {}
        """By path, the stamps of all that are there."""
        self.snapshots: dict[str, str] = {}
        """The same of snapshots."""
        self._folders: dict[str, Records] = {}
        self._compared: set[str] = set()
        """Folders whose snapshot was compared with the records."""

    def find_known(self, record: Record) -> AnyRecord | None:
        """What a record says that need not be read."""
        if record.kind == "marts" or record.path not in self._known:
            return None
        records = self._records(record)
        value = records.find_unchanged(record.path.removeprefix(f"{record.folder}/"))
        if value is None or value.get("checksum") != self._known[record.path]:
            return None
        # a snapshot that nobody has compared yet may say another thing, and the same checksum
        is_so = record.folder in self._compared or content_of(value)
        return cast(AnyRecord, value) if is_so else None

    def find_copy(self, record: Record) -> str:
        """The path of the copy of a record that is to be read; empty if it need not, or there is none."""
        copy = record.path + COPY
        if record.kind == "marts":
            return copy if self.store.exists(copy) else ""
        stamp = self._records(record).stamp(copy.removeprefix(f"{record.folder}/"))
        if stamp is None:
            return ""
        self.copies[copy] = stamp
        return "" if stamp and self._known.get(copy) == stamp else copy

    def _records(self, record: Record) -> Records:
        if record.folder not in self._folders:
            records = Records(self.store, record.folder, by_stamps=True)
            self._folders[record.folder] = records
            if records.snapshot.is_last:
                name = records.snapshot.replaces[-1]
                path, stamp = f"{record.folder}/{name}", records.stamp(name) or ""
                self.snapshots[path] = stamp
                if stamp and self._known.get(path) == stamp:
                    self._compared.add(record.folder)
        return self._folders[record.folder]
