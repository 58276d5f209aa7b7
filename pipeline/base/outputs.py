"""What a user names to be written: the old or the whole new one, never a half of it.

It lies beside its place as ``NAME.tmp-...`` until it is whole. If writing fails it is removed; what a
killed process left there, the next one that writes the same removes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.base.storage import storage_errors, sync_folder


@contextmanager
def new_file(out: Path) -> Iterator[Path]:
    """Where to write what becomes a file when the block ends well. Folders above it are made.

    A link is followed; a pipe or a device is written as it is.

    Args:
        out: The file.

    Raises:
        StorageError: It cannot be written; what was there before is still there.
    """
    with storage_errors(str(out)):
        if out.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(out))
        if out.exists() and (not out.is_file() or str(out).startswith(("/dev/", "/proc/"))):
            yield out
            return
        target = Path(os.path.realpath(out))
        with _unfinished(target, is_folder=False) as unfinished:
            yield unfinished
            if target.exists():
                shutil.copymode(target, unfinished)
            with unfinished.open("rb+") as file:
                os.fsync(file.fileno())
            unfinished.replace(target)
        sync_folder(target.parent)


@contextmanager
def new_folder(out: Path, last: str) -> Iterator[Path]:
    """Where to write what goes into a folder when the block ends well; other files there are left be.

    Args:
        out: The folder; made if it is not there.
        last: The file that comes last: where it is, all are.

    Raises:
        StorageError: It cannot be written.
    """
    with storage_errors(str(out)):
        target = Path(os.path.realpath(out))
        with _unfinished(target, is_folder=True) as unfinished:
            yield unfinished
            target.mkdir(exist_ok=True)
            files = [file for file in sorted(unfinished.rglob("*")) if file.is_file()]
            for file in sorted(files, key=lambda file: file == unfinished / last):
                place = target / file.relative_to(unfinished)
                place.parent.mkdir(parents=True, exist_ok=True)
                file.replace(place)
        sync_folder(target)


@contextmanager
def _unfinished(target: Path, is_folder: bool) -> Iterator[Path]:
    """An empty file or folder beside a target, locked while it is written; nothing is left of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    left = re.compile(re.escape(target.name) + r"\.tmp-[0-9a-f]{8}")
    for entry in target.parent.iterdir():
        if left.fullmatch(entry.name):
            with suppress(OSError), _locked(entry):
                _remove(entry)
    path = target.with_name(f"{target.name}.tmp-{uuid.uuid4().hex[:8]}")
    if is_folder:
        path.mkdir()
    else:
        path.touch()
    try:
        with _locked(path, may_lack=True):
            yield path
    finally:
        _remove(path)


@contextmanager
def _locked(path: Path, may_lack: bool = False) -> Iterator[None]:
    """Hold the system's lock on a file or folder, which a killed process lets go of.

    Raises:
        OSError: Another process holds it; or there are no locks, unless that ``may_lack``.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(*([OSError] if may_lack else [])):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
