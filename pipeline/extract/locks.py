"""Two processes on one run: each takes the shards that the other does not hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.base.locks import Lock, take_lock
from pipeline.base.storage import Store
from pipeline.tables.datasets import Shard, shard_file


class ShardLocks:
    """Locks on the shards of one run. Where there are none, every shard is free."""

    def __init__(self, store: Store, folder: str) -> None:
        self._store, self._folder = store, folder
        self._held: dict[int, Lock] = {}

    def _lock(self, shard: Shard, wait: bool) -> bool:
        rel = shard_file(self._folder, "locks", shard.ordinal, ".lock")
        lock = take_lock(self._store, rel, wait)
        if lock is not None:
            self._held[shard.ordinal] = lock
        return lock is not None

    def free_ones(self, shards: Sequence[Shard]) -> Iterator[Shard]:
        """Yield the shards that nobody else holds, each locked; if there is none, wait for the first.

        Waiting only while holding nothing: two processes never wait for each other.
        """
        found = False
        for shard in shards:
            if self._lock(shard, wait=False):
                found = True
                yield shard
        if not found and shards:
            self._lock(shards[0], wait=True)  # until its holder is done, or dead
            yield shards[0]

    def is_ours_alone(self, shard: Shard) -> bool:
        """Whether a shard that was yielded is locked, so that nobody else can be writing it."""
        return self._held[shard.ordinal].is_exclusive

    def release(self, shard: Shard) -> None:
        """Let go of a shard."""
        if lock := self._held.pop(shard.ordinal, None):
            lock.release()

    def release_all(self) -> None:
        """Let go of everything."""
        for lock in self._held.values():
            lock.release()
        self._held.clear()
