"""Several processes that make a site, or this one alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Self, TypeVar

from pipeline.base.errors import NeuronsError
from pipeline.web.site.work import Plan, begin

Result = TypeVar("Result")


class Processes:
    """Each with a warehouse of its own, opened once. Spawned: DuckDB does not survive a fork."""

    def __init__(self, plan: Plan, count: int) -> None:
        """Args:
        plan: What they are given.
        count: How many; with one it is this process.
        """
        self._pool: ProcessPoolExecutor | None = None
        if count > 1:
            self._pool = ProcessPoolExecutor(
                count, get_context("spawn"), initializer=begin, initargs=(plan,)
            )
        else:
            begin(plan, is_alone=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """What they are doing they do to the end; what waits is not begun."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def run(
        self, function: Callable[..., Result], calls: Sequence[tuple[object, ...]]
    ) -> Iterable[Result]:
        """Results of calls, in the order in which they come.

        Raises:
            NeuronsError: A process was killed.
        """
        if self._pool is None:
            yield from (function(*call) for call in calls)
            return
        try:
            for done in as_completed([self._pool.submit(function, *call) for call in calls]):
                yield done.result()
        except BrokenProcessPool as error:
            raise NeuronsError(
                "A process that made pages was killed.",
                "What is done is kept: run the same command again. If the system did it for want of "
                "memory: fewer --processes.",
            ) from error
