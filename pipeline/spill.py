"""Where queries spill what does not fit in memory, how much, and the removal of what a kill left.

Never into the current folder: into ``.spill`` of a local warehouse that can be written, and else into a
folder of the user's own in the system's temporary place. DuckDB makes the folder when it first spills,
names its files after the process, and holds a lock on ``..._owner`` as long as it lives: files whose
owner is not locked are of a process that was killed.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.faults import SPILL_VARIABLE
from pipeline.storage import Store

MAX_SPILL = 64 * 10**9
"""Bytes that one connection may spill; half of what is free where that is less."""

FOLDER = ".spill"

_UNITS = {"": 1, "B": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {"KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def spill_folder(store: Store | None) -> Path:
    """Where the queries of a warehouse spill; without one, the system's temporary place."""
    if store is not None and store.is_local:
        root = Path(store.root)
        if root.is_dir() and os.access(root, os.W_OK | os.X_OK):
            return root / FOLDER
    return _temporary_folder()


def _temporary_folder() -> Path:
    """A folder that only this user can read: what is spilled may be private."""
    place = Path(tempfile.gettempdir())
    folder = place / f"neurons-spill-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
            return folder
    except OSError:
        pass  # someone else's: never use it
    return Path(tempfile.mkdtemp(prefix="neurons-spill-"))


def max_spill(folder: Path) -> int:
    """Bytes that a connection may spill into a folder.

    Raises:
        ConfigError: The environment's bound is not a size.
    """
    if text := os.environ.get(SPILL_VARIABLE):
        return parse_size(text)
    while not folder.exists():
        folder = folder.parent
    return min(MAX_SPILL, shutil.disk_usage(folder).free // 2)


def parse_size(text: str) -> int:
    """Bytes of a size such as ``200GB``, ``1.5 TiB`` or ``500000000``.

    Raises:
        ConfigError: It is none.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", text.upper())
    if match is None or match[2] not in _UNITS:
        raise ConfigError(
            f"{text!r} is not a size.",
            f"Expected a number of bytes, such as 200GB ({SPILL_VARIABLE}).",
        )
    return int(float(match[1]) * _UNITS[match[2]])


def clear_spills(folder: Path) -> int:
    """Remove the files of processes that were killed. Returns how many files there were."""
    try:
        names = sorted(file.name for file in folder.iterdir())
    except OSError:
        return 0
    dead = [name.removesuffix("_owner") for name in names if _is_dead(folder / name)]
    leftovers = [name for name in names if name.startswith(tuple(f"{owner}_" for owner in dead))]
    for name in leftovers:
        (folder / name).unlink(missing_ok=True)
    if leftovers and folder.name == FOLDER:
        with suppress(OSError):  # another process spills there
            folder.rmdir()
    return len(leftovers)


def _is_dead(path: Path) -> bool:
    """Whether a file is an owner's mark that nobody holds."""
    match = re.fullmatch(r"duckdb_temp_(\d+)_\d+_owner", path.name)
    if match is None or int(match[1]) == os.getpid():  # to open our own would give up its lock
        return False
    try:
        with path.open("rb+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
