"""Two processes on one run: each takes the shards that the other does not hold, or holds and does not do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from pipeline.base.locks import SAY_AFTER_S, Lock, idle_s, say_waiting, take_lock
from pipeline.base.storage import Store
from pipeline.base.warn import warn_once
from pipeline.extract.seat import Seat
from pipeline.tables.datasets import Shard
from pipeline.tables.manifest_files import shard_file

LOOK_EVERY_S = 0.2
"""Seconds between two looks at a lock that is waited for."""


class ShardLocks:
    """Locks on the shards of one run. Where there are none, every shard is free.

    Args:
        store: The warehouse.
        folder: The run's folder in it.
        lease_s: After so many seconds without a sign of life the holder of a shard is taken for hung.
        seat: Which of several processes of one command we are. They also have locks on this machine,
            so that each shard is one's, wherever the warehouse lies.
        while_waiting: Called at each look at a lock that is waited for.
    """

    def __init__(
        self,
        store: Store,
        folder: str,
        lease_s: float,
        seat: Seat | None = None,
        while_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder, self._lease_s, self._while_waiting = folder, lease_s, while_waiting
        self._stores = [store] if seat is None else [Store(seat.lock_folder), store]
        self._board = None if seat is None else seat.board()
        self._held: dict[int, list[Lock]] = {}
        self._change = threading.Lock()  # shards are taken by one thread and let go by others
        self._touched = 0.0

    def _lock(self, shard: Shard) -> bool:
        """Take the locks of a shard that nobody holds, or whose holder shows no sign of life."""
        rel = self._file(shard)
        locks: list[Lock] = []
        for store in self._stores:
            lock = take_lock(store, rel, wait=False)
            if lock is None and self._is_hung(store, rel):
                warn_once(
                    f"Who holds {store.path(rel)} has shown no sign of life for {self._lease_s:g} s. Its "
                    "shard is taken over. If it wakes up again, no harm is done."
                )
                lock = Lock(None)
            if lock is None:
                _release(locks)
                return False
            locks.append(lock)
        if self._board is not None and not self._board.claim(shard.ordinal):
            _release(locks)
            return False
        with self._change:
            self._held[shard.ordinal] = locks
            self._do_oldest()
        return True

    def _is_hung(self, store: Store, rel: str) -> bool:
        """Whether the holder of a lock shows no sign of life. One that has just taken it is about to."""
        if idle_s(store, rel) <= self._lease_s:
            return False
        time.sleep(LOOK_EVERY_S)
        return idle_s(store, rel) > self._lease_s

    def _file(self, shard: Shard) -> str:
        return shard_file(self._folder, "locks", shard.ordinal, ".lock")

    def free_ones(self, shards: Sequence[Shard]) -> Iterator[Shard]:
        """Yield the shards that nobody else holds, each locked; if there is none, wait for the first.

        Waiting only while holding nothing: two processes never wait for each other.
        """
        found = False
        for shard in shards:
            if self._lock(shard):
                found = True
                yield shard
        if not found and shards and self._wait_for(shards[0]):
            yield shards[0]

    def _wait_for(self, shard: Shard) -> bool:
        """Until the holder of a shard is done, or dead, or hangs; False if it is none of ours any more."""
        began = time.monotonic()
        while not self._lock(shard):
            if self.is_settled(shard):
                return False
            if self._board is None and time.monotonic() - began > SAY_AFTER_S:
                say_waiting(self._stores[-1].path(self._file(shard)))
            self._while_waiting()
            time.sleep(LOOK_EVERY_S)
        return True

    def touch(self) -> None:
        """Show that we are at work on what we hold."""
        if time.monotonic() - self._touched > self._lease_s / 10:
            self._touched = time.monotonic()
            for lock in [lock for locks in list(self._held.values()) for lock in locks]:
                lock.touch()

    def is_settled(self, shard: Shard) -> bool:
        """Whether another process of our command does a shard, or has ended it."""
        return self._board is not None and self._board.is_settled(shard.ordinal)

    def is_ours_alone(self, shard: Shard) -> bool:
        """Whether a shard that was yielded is locked, so that nobody else can be writing it."""
        return self._held[shard.ordinal][-1].is_exclusive

    def release(self, shard: Shard) -> None:
        """Let go of a shard that is done or has failed."""
        with self._change:
            locks = self._held.pop(shard.ordinal, [])
            if locks and self._board is not None:
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
