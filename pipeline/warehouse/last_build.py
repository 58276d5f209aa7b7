"""What the last build wrote, and whether it is still there: ``marts/build.json`` as the views need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.errors import NeuronsError, WarehouseError
from pipeline.base.fields import list_fields, make_settings
from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.base.warn import warn_once
from pipeline.tables.manifests import BuildRecord
from pipeline.tables.records import read_record
from pipeline.warehouse.views import MATERIALISED

RECORD = "marts/build.json"


@dataclass(frozen=True)
class Build:
    """A build of the marts."""

    fingerprint: str
    """Of the inventory that it rests on, see `contents.Inventory`."""
    folder: str
    """Where its files lie."""
    settings: LabelSettings
    row_counts: Mapping[str, int]
    """By mart."""
    bytes: Mapping[str, int]
    """By mart."""
    runs: Mapping[str, str]
    """What each run was when it was built; see `stale.digest_runs`."""
    previous: str
    """The folder of the build before; empty if there was none."""

    def is_whole(self, store: Store) -> bool:
        """Whether every file is there, whole."""
        paths = {name: f"{self.folder}/{name}.parquet" for name in MATERIALISED}
        return all(
            store.exists(path) and store.size(path) == self.bytes.get(name)
            for name, path in paths.items()
        )


def read_build(store: Store) -> Build | None:
    """What the last build wrote, or None.

    It speaks of a cache: one that cannot be read is passed over with a word.
    """
    if not store.exists(RECORD):
        return None
    try:
        record = read_record(store, RECORD, BuildRecord)
        settings = _read_settings(record["settings"], store.uri(RECORD))
    except NeuronsError as error:
        warn_once(
            f"{error.message} It only says what neurons build made: everything is computed "
            "anew until neurons build has run again."
        )
        return None
    return Build(
        record["fingerprint"],
        record["folder"],
        settings,
        record["row_counts"],
        record["bytes"],
        record.get("runs", {}),
        record.get("previous", ""),
    )


def _read_settings(said: Mapping[str, object], place: str) -> LabelSettings:
    """Settings of a build; another version may have had others.

    Raises:
        NeuronsError: One is of another kind than ours: names the place and the setting.
    """
    known = {one.name for one in list_fields(LabelSettings)}
    ours = {name: value for name, value in said.items() if name in known}
    for name, value in ours.items():
        if isinstance(value, int) and abs(value) >= 1 << 31:
            raise WarehouseError(f"{place}: {name} is {value}, expected a smaller number.")
    return make_settings(LabelSettings, ours, place)


def last_settings(warehouse: str | Path) -> LabelSettings:
    """The settings of the last build; the defaults if there was none."""
    built = read_build(Store(warehouse))
    return built.settings if built else LabelSettings()
