"""Locks on steps and shards: the operating system's, on files in the warehouse.

A killed process lets go of them at once, and its lock file stays without a meaning. Object stores have
no such locks, and some filesystems have none either (network and FUSE mounts without ``flock``): there
nothing is locked. Two processes may then do the same work twice, which costs time and harms nothing,
because every file is put whole and what names it comes last. But nothing may be cleared away there as
left over: see `Lock.is_exclusive`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.base.storage import Store, storage_errors
from pipeline.base.warn import warn_once

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

    def release(self) -> None:
        """Let go."""
        if self._file is not None:
            self._file.release()


def take_lock(store: Store, rel: str, wait: bool = True, say_what: bool = True) -> Lock | None:
    """Take the lock of a step or a shard.

    Args:
        store: The warehouse.
        rel: The lock file, relative to it.
        wait: Until its holder is done, or dead; if not, give up at once.
        say_what: Tell a person if that takes long.

    Returns:
        The lock, or None if another process or thread holds it. Where there are no locks, one that
        is not exclusive.

    Raises:
        StorageError: The lock file cannot be made.
    """
    if not store.is_local:
        return Lock(None)
    path = Path(store.path(rel))
    with storage_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not replaced by a file that is only there or not: one that a dead process left would hold
        # everybody up for ever.
        lock = FileLock(path, thread_local=False, fallback_to_soft=False)
        try:
            return Lock(lock) if _acquire(lock, path, wait, say_what) else None
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


def _acquire(lock: FileLock, path: Path, wait: bool, say_what: bool) -> bool:
    try:
        lock.acquire(timeout=SAY_AFTER_S if wait else 0)
    except Timeout:
        if not wait:
            return False
        if say_what:
            warn_once(f"Waiting for another process, which holds {path}.")
        lock.acquire(timeout=-1)
    return True
