"""Another name for a dataset or a run: its folder, the paths in its records, and what they call it.

Locally a second folder is made of links to the same files, and of the records as they are to be; one rename
puts it in place, another takes the old one away. Killed at any moment, either name or, for an instant, both
stand there whole, and the same command finishes it. On object storage, where nothing can be linked or
renamed, everything is copied first, the record that makes it a dataset or a run last.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.checksums import encode_json, find_seal_problem, seal
from pipeline.base.errors import WarehouseError
from pipeline.base.leftovers import HALF_WRITTEN
from pipeline.base.settings import digest
from pipeline.base.storage import COPY, Store, partition, sync_folder
from pipeline.tables.datasets import check_name, dataset_folder, list_datasets
from pipeline.tables.news import is_news
from pipeline.tables.records import Sealed, read_record
from pipeline.tables.snapshot_files import is_snapshot
from pipeline.tables.snapshots import list_folders, write_snapshot
from pipeline.upkeep.delete import DELETED, all_locked, find_target

RENAMING = "renaming-"
"""What the name of a folder begins with that is being made."""

MARK = "renamed.json"
"""In a folder under its new name, until the old one is gone."""


class Mark(Sealed):
    """``renamed.json``."""

    old: str
    """The folder that it was."""


@dataclass(frozen=True)
class _Names:
    """What becomes what."""

    what: str
    """``dataset`` or ``run``."""
    old: str
    new: str
    source: str
    """The folder."""
    target: str

    @property
    def top(self) -> str:
        """The record that makes a folder a dataset or a run."""
        return f"{self.what}.json"


def rename(store: Store, what: str, old: str, new: str, dataset: str | None = None) -> None:
    """Give a dataset or a run another name. Calling it again finishes what was interrupted.

    All is kept: shards, runs, compactions, merges, labels of people. Marts have the old name in them and
    are stale. ``neurons extract`` without ``--run`` goes on with a renamed run.

    Args:
        store: The warehouse.
        what: ``dataset`` or ``run``.
        old: Its name or id.
        new: The name or id that it gets.
        dataset: Of the run, if several datasets have one of that id.

    Raises:
        ConfigError: The new name cannot name a folder.
        WarehouseError: There is none of the old name; the new one is taken; a record is damaged; or a
            process works there.
    """
    check_name(new, what)
    if old == new:
        raise WarehouseError(f"The {what} is called {old!r} already.", "Give another name.")
    names = _find_names(store, what, old, new, dataset)
    mark = _read_mark(store, names)
    if store.list(names.source):
        with all_locked(store, names.source):
            _rename_locked(store, names, mark)
    store.delete(f"{names.target}/{MARK}")
    for folder in list_folders(store):
        if f"{folder}/".startswith(f"{names.target}/"):
            write_snapshot(store, folder)


def _rename_locked(store: Store, names: _Names, mark: Mark | None) -> None:
    """All but the last step.

    Args:
        store: The warehouse.
        names: What becomes what.
        mark: Of an interrupted call.
    """
    if mark is None and store.list(names.target):
        raise WarehouseError(
            f"{store.uri(names.target)} is there already.",
            f"Choose another name for the {names.what}.",
        )
    if not store.is_local:
        if store.exists(f"{names.source}/{names.top}"):  # else all was copied before
            _build(store, names, names.target)
            for name in (names.top + COPY, names.top):
                store.delete(f"{names.source}/{name}")
        store.fs.rm(store.path(names.source), recursive=True)
        return
    if mark is None:
        _put_in_place(store, names)
    else:
        _refuse_grown(store, names)
    taken = Path(store.path(f"{DELETED}{uuid.uuid4().hex[:8]}"))
    place = Path(store.path(names.source))
    place.rename(taken)
    sync_folder(place.parent)
    shutil.rmtree(taken)


def _find_names(store: Store, what: str, old: str, new: str, dataset: str | None) -> _Names:
    if what == "dataset":
        names = _Names(what, old, new, dataset_folder(old), dataset_folder(new))
        if store.list(names.source) or _read_mark(store, names) is None:
            find_target(store, what, old)  # or says which there are
        return names
    for name in [dataset] if dataset else list_datasets(store):  # one that was interrupted
        source = f"{dataset_folder(name)}/{partition(run_id=old)}"
        names = _Names(what, old, new, source, f"{dataset_folder(name)}/{partition(run_id=new)}")
        if not store.list(source) and _read_mark(store, names) is not None:
            return names
    source = find_target(store, what, old, dataset).folder
    return _Names(what, old, new, source, f"{source.split('/')[0]}/{partition(run_id=new)}")


def _read_mark(store: Store, names: _Names) -> Mark | None:
    """Of an interrupted call with the same names."""
    path = f"{names.target}/{MARK}"
    if not store.exists(path):
        return None
    mark = read_record(store, path, Mark)
    return mark if mark["old"] == names.source else None


def _refuse_grown(store: Store, names: _Names) -> None:
    """Refuse to take away a folder that has got more since a call was interrupted.

    Raises:
        WarehouseError: It has.
    """
    there = {rel.removeprefix(names.target): size for rel, size in store.walk(names.target)}
    for rel, size in store.walk(names.source):
        name = rel.removeprefix(names.source)
        is_record = name.removesuffix(COPY).endswith(".json")
        if _is_kept(rel) and (name not in there or (not is_record and there[name] != size)):
            raise WarehouseError(
                f"{store.uri(names.source)} has got more since it was renamed to {names.new!r}, and that was "
                f"interrupted: {rel}.",
                f"Both are whole. Delete one: neurons delete {names.what} NAME",
            )


def _put_in_place(store: Store, names: _Names) -> None:
    tree = RENAMING + names.source.replace("/", "-")
    shutil.rmtree(store.path(tree), ignore_errors=True)  # of an interrupted call: we hold the locks
    _build(store, names, tree)
    place = Path(store.path(names.target))
    Path(store.path(tree)).rename(place)
    for folder in {place.parent, Path(store.root)}:
        sync_folder(folder)


def _is_kept(rel: str) -> bool:
    name = rel.rsplit("/", 1)[-1]
    is_cache = is_snapshot(name) or is_news(name)
    return not (is_cache or name == MARK or name.endswith(".lock") or HALF_WRITTEN.match(rel))


def _build(store: Store, names: _Names, tree: str) -> None:
    """Everything under the new name, into a folder; the record that makes it what it is comes last.

    Raises:
        WarehouseError: A record is damaged.
    """
    store.write_record(f"{tree}/{MARK}", {"old": names.source})
    last = {f"{names.source}/{names.top}", f"{names.source}/{names.top}{COPY}"}
    files = [rel for rel, _ in store.walk(names.source) if _is_kept(rel)]
    for rel in [*(rel for rel in files if rel not in last), *sorted(last & {*files}, reverse=True)]:
        there = tree + rel.removeprefix(names.source)
        if rel.removesuffix(COPY).endswith(".json"):
            store.write_bytes(there, _rewrite(store, names, rel))
        else:
            _link(store, rel, there)


def _link(store: Store, rel: str, there: str) -> None:
    """The same file in another place: files are never changed once they are written."""
    if not store.is_local:
        if not store.exists(there) or store.size(there) != store.size(rel):
            store.fs.cp_file(store.path(rel), store.path(there))
        return
    target = Path(store.path(there))
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(store.path(rel), target)
    except OSError:  # a file system without links
        shutil.copy2(store.path(rel), target)


def _rewrite(store: Store, names: _Names, rel: str) -> bytes:
    """A record as it is under the new name, in the format that it had.

    Raises:
        WarehouseError: It is damaged.
    """
    data = store.read_bytes(rel)
    problem = find_seal_problem(data)
    value = None if problem else store.read_json(rel)
    if not isinstance(value, dict):
        raise WarehouseError(
            f"{store.uri(rel)} {problem or 'is no record of ours'}.",
            "Nothing was renamed. Mend it first: neurons repair",
        )
    value = _renamed(value, names)
    if "identity" in value and rel.removesuffix(COPY).endswith("/run.json"):
        value |= _known_as(json.loads(data), value)
    return seal(value) if "checksum" in value else encode_json(value)


def _renamed(value: Any, names: _Names) -> Any:
    """A value of a record with the new name where the old one was: as a name, and in paths."""
    if isinstance(value, dict):
        key = "dataset" if names.what == "dataset" else "run_id"
        return {
            name: names.new if name == key and each == names.old else _renamed(each, names)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    if isinstance(value, str) and value.startswith(f"{names.source}/"):
        return names.target + value.removeprefix(names.source)
    return value


def _known_as(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[str]]:
    """The id that its configuration would give a run that nobody had named, so that extract finds it."""
    ids = {before["run_id"], *before.get("known_as", ())}
    if digest(before["identity"]) not in ids:
        return {}
    wanted: str = digest(now["identity"])
    return {"known_as": [] if wanted == now["run_id"] else [wanted]}
