"""Locks on steps and shards: the operating system's, on files in the warehouse.

A killed process lets go of them at once, and its lock file stays without a meaning. Object stores have
no such locks, and some filesystems have none either (network and FUSE mounts without ``flock``): there
nothing is locked. Two processes may then do the same work twice, which costs time and harms nothing,
because every file is put whole and what names it comes last. But nothing may be cleared away there as
left over: see `Lock.is_exclusive`.

A process that hangs keeps its locks. Who works for long shows that it is alive (`Lock.touch`), and who waits
may look since when it has not (`idle_s`).
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.base.storage import Store, storage_errors
from pipeline.base.warn import warn_once

if TYPE_CHECKING:
    from filelock import FileLock

SAY_AFTER_S = 2.0
"""Seconds of waiting after which we say for what."""

_HAS_NO_LOCKS = {
    errno.ENOSYS,  # FUSE and network filesystems without flock
    errno.EOPNOTSUPP,
    errno.ENOTSUP,
    errno.ENOLCK,  # NFS without its lock service
    errno.EINVAL,
}


class Lock:
    """A lock that is held until `release`."""

    def __init__(self, file: FileLock | None) -> None:
        self._file = file

    @property
    def is_exclusive(self) -> bool:
        """Whether nobody else can hold it now. If not, half-written files may be another's."""
        return self._file is not None

    def touch(self) -> None:
        """Show whoever waits that the holder is alive."""
        if self._file is not None:
            os.utime(self._file.lock_file)

    def release(self) -> None:
        """Let go."""
        if self._file is not None:
            self._file.release()


def take_lock(store: Store, rel: str, wait: bool = True) -> Lock | None:
    """Take the lock of a step or a shard.

    Args:
        store: The warehouse.
        rel: The lock file, relative to it.
        wait: Until its holder is done, or dead; if not, give up at once.

    Returns:
        The lock, or None if another process or thread holds it. Where there are no locks, one that
        is not exclusive.

    Raises:
        StorageError: The lock file cannot be made.
    """
    if not store.is_local:
        return Lock(None)
    from filelock import FileLock  # who only reads takes no lock

    path = Path(store.path(rel))
    with storage_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not replaced by a file that is only there or not: one that a dead process left would hold
        # everybody up for ever.
        lock = FileLock(path, thread_local=False, fallback_to_soft=False)
        try:
            if not _acquire(lock, path, wait):
                return None
            os.utime(path)
            return Lock(lock)
        except OSError as error:
            if error.errno not in _HAS_NO_LOCKS:
                raise
            warn_once(
                f"{store.url} has no file locks ({error.strerror}). All works as on object storage: "
                "two processes at once may do the same work twice, nothing is lost. Where the place "
                "can have them (a mount option, a lock service), switch them on."
            )
            return Lock(None)


@contextmanager
def hold_lock(store: Store, rel: str) -> Iterator[Lock]:
    """Hold the lock of a step, waiting for it if need be.

    Raises:
        StorageError: The lock file cannot be made.
    """
    lock = take_lock(store, rel)
    assert lock is not None, "we waited"
    try:
        yield lock
    finally:
        lock.release()


def say_waiting(path: str | Path) -> None:
    """Say for what we wait."""
    warn_once(f"Waiting for another process, which holds {path}.")


def idle_s(store: Store, rel: str) -> float:
    """Seconds since the holder of a lock, which is there, took it or showed that it was alive.

    By the clock of the place where the lock lies, not by that of this machine.
    """
    path = Path(store.path(rel))
    with storage_errors(str(path)), tempfile.TemporaryFile(dir=path.parent) as now:
        return os.fstat(now.fileno()).st_mtime - path.stat().st_mtime


def _acquire(lock: FileLock, path: Path, wait: bool) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(timeout=SAY_AFTER_S if wait else 0)
    except Timeout:
        if not wait:
            return False
        say_waiting(path)
        lock.acquire(timeout=-1)
    return True
