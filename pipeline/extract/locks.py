"""Two processes on one run: each takes the shards that the other does not hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.base.locks import Lock, take_lock
from pipeline.base.storage import Store
from pipeline.extract.seat import Seat
from pipeline.tables.datasets import Shard, shard_file


class ShardLocks:
    """Locks on the shards of one run. Where there are none, every shard is free.

    Args:
        store: The warehouse.
        folder: The run's folder in it.
        seat: Which of several processes of one command we are. They also have locks on this machine,
            so that each shard is one's, wherever the warehouse lies.
    """

    def __init__(self, store: Store, folder: str, seat: Seat | None = None) -> None:
        self._folder = folder
        self._stores = [store] if seat is None else [Store(seat.lock_folder), store]
        self._board = None if seat is None else seat.board()
        self._held: dict[int, list[Lock]] = {}

    def _lock(self, shard: Shard, wait: bool) -> bool:
        rel = shard_file(self._folder, "locks", shard.ordinal, ".lock")
        locks: list[Lock] = []
        for store in self._stores:
            lock = take_lock(store, rel, wait, say_what=store is self._stores[-1])
            if lock is None:
                break
            locks.append(lock)
        is_ours = len(locks) == len(self._stores)
        if is_ours and self._board is not None:
            is_ours = self._board.claim(shard.ordinal)
        if not is_ours:
            _release(locks)
            return False
        self._held[shard.ordinal] = locks
        self._do_oldest()
        return True

    def free_ones(self, shards: Sequence[Shard]) -> Iterator[Shard]:
        """Yield the shards that nobody else holds, each locked; if there is none, wait for the first.

        Waiting only while holding nothing: two processes never wait for each other.
        """
        found = False
        for shard in shards:
            if self._lock(shard, wait=False):
                found = True
                yield shard
        if not found and shards and self._lock(shards[0], wait=True):
            yield shards[0]  # its holder is done, or dead

    def is_settled(self, shard: Shard) -> bool:
        """Whether another process of our command does a shard, or has ended it."""
        return self._board is not None and self._board.is_settled(shard.ordinal)

    def is_ours_alone(self, shard: Shard) -> bool:
        """Whether a shard that was yielded is locked, so that nobody else can be writing it."""
        return self._held[shard.ordinal][-1].is_exclusive

    def release(self, shard: Shard) -> None:
        """Let go of a shard that is done or has failed."""
        if locks := self._held.pop(shard.ordinal, None):
            if self._board is not None:
                self._board.end(shard.ordinal)
            _release(locks)
            self._do_oldest()

    def release_all(self) -> None:
        """Let go of everything."""
        for locks in self._held.values():
            _release(locks)
        self._held.clear()

    def _do_oldest(self) -> None:
        """Say which shard we are doing: the first of those that are ours, as they are done in order."""
        if self._board is not None and self._held:
            self._board.do(next(iter(self._held)))


def _release(locks: list[Lock]) -> None:
    for lock in reversed(locks):
        lock.release()
