"""Where queries spill what does not fit in memory, how much, and the removal of what a kill left.

Never into the current folder: into a warehouse that is local and can be written, and else into a folder
of the user's own in the system's temporary place; there each process has a folder whose name says which
process it is. DuckDB makes it when it first spills and removes it when it closes; what a kill leaves,
the next command removes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import stat
import tempfile
import threading
from collections import defaultdict
from contextlib import suppress
from functools import cache
from pathlib import Path

from pipeline.base.errors import ConfigError
from pipeline.base.faults import SPILL_VARIABLE
from pipeline.base.storage import Store

MAX_SPILL = 64 * 10**9
"""Bytes that one connection may spill; half of what is free where that is less."""

PREFIX = ".spill-"

_UNITS = {"": 1, "B": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {"KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def spill_folder(store: Store | None) -> Path:
    """Where this process's queries of a warehouse spill; without one, the system's temporary place."""
    root = Path(store.root) if store is not None and store.is_local else None
    if root is None or not root.is_dir() or not os.access(root, os.W_OK | os.X_OK):
        root = _temporary_folder()
    pid = os.getpid()
    return root / f"{PREFIX}{_machine()}-{pid}-{_start_of(pid)}"


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


def _clear_spills(root: Path, is_alone: bool) -> int:
    """Remove what killed processes spilled under a root. Returns how many folders there were.

    Those of this machine are known by their process. Others (another container, before a restart) are
    removed if nobody else uses the root: who does holds a shared lock on it, which writes nothing.
    """
    try:
        names = [file.name for file in root.iterdir() if file.name.startswith(PREFIX)]
    except OSError:
        return 0
    dead = [name for name in names if _is_dead(name, is_alone)]
    for name in dead:
        shutil.rmtree(root / name, ignore_errors=True)
    return len(dead)


def _is_dead(name: str, is_alone: bool) -> bool:
    parts = name.removeprefix(PREFIX).split("-")
    if len(parts) != 3 or not parts[1].isdecimal():
        return False
    if parts[0] != _machine():
        return is_alone
    return _start_of(int(parts[1])) != parts[2]


@cache
def _machine() -> str:
    """Where process numbers mean what they mean here: host, boot and container."""
    said = [platform.node()]
    for file in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            path = Path(file)
            said.append(str(path.readlink()) if path.is_symlink() else path.read_text())
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:8]


def _start_of(pid: int) -> str:
    """When a process began, in ticks; ``gone`` if there is none, ``0`` where the system cannot say."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        pass  # another user's
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return "0"


_users: defaultdict[Path, list[None]] = defaultdict(list)
_handles: dict[Path, int] = {}
_guard = threading.RLock()  # a connection may be collected, and so release its root, at any moment


def hold_root(root: Path) -> int:
    """Take part in a root that a connection spills under, until `release_root`.

    Returns:
        How many folders of killed processes were removed there.
    """
    with _guard:
        _users[root].append(None)  # first of all: from here on nobody else's release closes it
        is_alone = False
        if root not in _handles:
            try:
                _handles[root] = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return 0
            with suppress(OSError):
                fcntl.flock(_handles[root], fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_alone = True
        removed = _clear_spills(root, is_alone)
        with suppress(OSError):  # waits for who clears just now: without it we would not be seen
            fcntl.flock(_handles[root], fcntl.LOCK_SH)
    return removed


def release_root(root: Path) -> None:
    """A connection that held the root is gone; with the last one nothing of the root stays open."""
    with _guard:
        users = _users[root]
        users.pop()
        if not users and (handle := _handles.pop(root, None)) is not None:
            os.close(handle)
