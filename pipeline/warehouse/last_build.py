"""What the last build wrote: ``marts/build.json`` as the views need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.errors import NeuronsError, WarehouseError
from pipeline.base.fields import list_fields, make_settings
from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.base.warn import warn_once
from pipeline.tables.manifests import BuildRecord, FileEntry
from pipeline.tables.records import read_record

RECORD = "marts/build.json"


@dataclass(frozen=True)
class Build:
    """The marts that there are, and with which settings the last build made them."""

    settings: LabelSettings
    files: Mapping[str, FileEntry]
    """By path."""
    runs: Mapping[str, str]
    """What each part was when it was built; see `parts.Fingerprints.data_of`."""
    replaced: frozenset[str]
    """Paths of what it replaced."""


def read_build(store: Store) -> Build | None:
    """What the last build wrote, or None.

    It speaks of a cache: one that cannot be read is passed over with a word.
    """
    try:
        record = read_record(store, RECORD, BuildRecord)
        settings = _read_settings(record["settings"], store.uri(RECORD))
    except FileNotFoundError:
        return None
    except NeuronsError as error:
        warn_once(
            f"{error.message} It only says what neurons build made: everything is computed "
            "anew until neurons build has run again."
        )
        return None
    return Build(
        settings,
        {file["path"]: file for file in record.get("files", [])},
        record.get("runs", {}),
        frozenset(record.get("replaced", [])),
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
