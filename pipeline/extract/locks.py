"""Two processes on one warehouse: each takes the shards that the other does not hold.

The locks are the operating system's, on files in the run's folder, so a killed process lets go of
them at once. On an object store there are none: two processes may then do the same shard twice, which
costs time and harms nothing, because every file is put whole and the manifest last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.dataset import Shard, shard_file
from pipeline.storage import Store, storage_errors


class ShardLocks:
    """Locks on the shards of one run."""

    def __init__(self, store: Store, folder: str) -> None:
        self._store, self._folder = store, folder
        self._held: dict[int, FileLock] = {}

    def _lock(self, shard: Shard, timeout_s: float) -> bool:
        if not self._store.is_local:
            return True
        path = Path(self._store.path(shard_file(self._folder, "locks", shard.ordinal, ".lock")))
        with storage_errors(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, thread_local=False)
            try:
                lock.acquire(timeout=timeout_s)
            except Timeout:
                return False
        self._held[shard.ordinal] = lock
        return True

    def free_ones(self, shards: Sequence[Shard]) -> Iterator[Shard]:
        """Yield the shards that nobody else holds, each locked; if there is none, wait for the first.

        Waiting only while holding nothing: two processes never wait for each other.
        """
        found = False
        for shard in shards:
            if self._lock(shard, timeout_s=0):
                found = True
                yield shard
        if not found and shards:
            self._lock(shards[0], timeout_s=-1)  # until its holder is done, or dead
            yield shards[0]

    def release(self, shard: Shard) -> None:
        """Let go of a shard."""
        if lock := self._held.pop(shard.ordinal, None):
            lock.release()

    def release_all(self) -> None:
        """Let go of everything."""
        for lock in self._held.values():
            lock.release()
        self._held.clear()
