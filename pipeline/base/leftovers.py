"""Clearing away what a killed step has left: half-written files, under the lock of the step that writes there.

Who holds the lock is alone, so nobody alive is writing them. Where there are no locks nothing is cleared:
on object stores half-written files do not lie in the warehouse at all.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from pipeline.base.locks import Lock
from pipeline.base.storage import Store

HALF_WRITTEN = re.compile(r".*\.tmp-[0-9a-f]{8}\Z")
"""The path of a file that a step was writing."""


def clear_half_written(store: Store, lock: Lock, *folders: str, prefix: str = "") -> None:
    """Delete half-written files directly inside folders.

    Args:
        store: The warehouse.
        lock: Of the step that writes these files.
        folders: Relative to the warehouse; empty is the warehouse itself.
        prefix: Only files whose names begin so.
    """
    for folder in folders if lock.is_exclusive else ():
        for name in store.list(folder):
            if name.startswith(prefix) and HALF_WRITTEN.match(name):
                store.delete(f"{folder}/{name}".lstrip("/"))


def clear_half_written_below(store: Store, lock: Lock, folder: str, but: str = "") -> None:
    """Delete half-written files anywhere below a folder, but for folders inside it that begin so."""
    if not (lock.is_exclusive and store.is_local):
        return
    clear_half_written(store, lock, folder)
    for name in store.list(folder):
        if not (but and name.startswith(but)):
            inner = f"{folder}/{name}"
            for rel in store.list_temporary(inner):
                if HALF_WRITTEN.match(rel):
                    store.delete(rel)


def clear_unnamed(store: Store, lock: Lock, folder: str, keep: Collection[str]) -> None:
    """Delete Parquet files directly inside a folder that no record names any more.

    Args:
        store: The warehouse.
        lock: Of the step that writes them.
        folder: Relative to the warehouse.
        keep: Paths that a record names, or named just before: open connections may still read those.
    """
    for name in store.list(folder, ".parquet") if lock.is_exclusive else ():
        if f"{folder}/{name}" not in keep:
            store.delete(f"{folder}/{name}")
