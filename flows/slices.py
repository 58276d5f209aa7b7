"""Slices of shards in many tasks at once: waiting for whichever ends, and giving up on those that hang."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger

Item = TypeVar("Item")

LOOK_EVERY_S = 1.0
"""Seconds between two looks at slices that do not end."""

MOST_TASKS = 4
"""Tasks that try one slice, if the workers of those before hang."""


@dataclass(eq=False)
class _Slice(Generic[Item]):
    items: Sequence[Item]
    task_count: int = 0
    done_count: int = 0
    moved_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Lost:
    """What became of a slice whose workers died, one after the other."""

    error: BaseException


def do_slices(
    slices: Sequence[Sequence[Item]],
    submit: Callable[[Sequence[Item]], PrefectFuture[Any]],
    at_once: int,
    count_done: Callable[[Sequence[Item]], int],
    lease_s: float | None,
) -> Iterator[tuple[Sequence[Item], Any]]:
    """Do slices as tasks.

    A slice of which nothing more is done for some time is given to a second task, which another worker
    takes. Whichever ends first counts; the work is such that two of them at once do no harm.

    Args:
        slices: What each task does.
        submit: Makes the task of a slice.
        at_once: Tasks handed over before the first of them has ended.
        count_done: How many items of a slice are done.
        lease_s: That time; None if there is no other worker.

    Yields:
        Each slice and what its task returned or raised, or `Lost`, in the order in which they end.
    """
    ended: SimpleQueue[tuple[_Slice[Item], PrefectFuture[Any]]] = SimpleQueue()
    todo = deque(_Slice(items) for items in slices)
    running: list[_Slice[Item]] = []

    def start(one: _Slice[Item]) -> None:
        one.task_count += 1
        one.moved_at = time.monotonic()
        submit(one.items).add_done_callback(lambda future: ended.put((one, future)))

    while todo or running:
        while todo and len(running) < at_once:
            running.append(todo.popleft())
            start(running[-1])
        try:
            one, future = ended.get(timeout=LOOK_EVERY_S)
        except Empty:
            for late in _find_late(running, count_done, lease_s):
                start(late)
            continue
        if one in running:  # else another task has ended it before
            running.remove(one)
            yield one.items, _result(future)


def _find_late(
    running: Sequence[_Slice[Item]],
    count_done: Callable[[Sequence[Item]], int],
    lease_s: float | None,
) -> Iterator[_Slice[Item]]:
    """Slices of which nothing more was done for too long."""
    for one in running:
        waited = time.monotonic() - one.moved_at
        if lease_s is None or waited <= lease_s or one.task_count == MOST_TASKS:
            continue
        before, one.done_count = one.done_count, count_done(one.items)
        one.moved_at = time.monotonic()
        if one.done_count == before:
            get_run_logger().warning(
                "A task has done no shard for %.0f s: another worker does its %d shards as well.",
                waited,
                len(one.items),
            )
            yield one


def _result(future: PrefectFuture[Any]) -> Any:
    try:
        return future.result(raise_on_failure=False)
    except Exception as error:  # not what the task raised, but that it could not be run to its end
        return Lost(error)
