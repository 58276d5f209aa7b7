"""Strangers' SQL, answered within limits by processes of their own.

DuckDB's limit of memory is one for all queries of a database, and a query can take every core: beside the
pages one would starve them. So another process answers (`console_process`), one query at a time, at low
priority; it is killed where DuckDB cannot be interrupted, and the next query finds a new one.
"""

from __future__ import annotations

import json
import multiprocessing
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from pipeline.base.errors import ConfigError
from pipeline.web.console_process import MEMORY, Question, Reply, serve

SHOWN_ROWS = 1_000
CSV_ROWS = 100_000
LIMIT_S = 20.0
GRACE_S = 5.0
"""Seconds that an interrupted query has to stop before its process is killed."""
OPEN_S = 120.0
"""Seconds that opening the warehouse may take."""
PROCESSES = 2
"""Queries at the same time; others wait."""


@dataclass(frozen=True)
class SqlAnswer:
    """What a query gave."""

    columns: tuple[tuple[str, str], ...]
    """Name and DuckDB's type of each."""
    rows: tuple[tuple[Any, ...], ...]
    """As JSON has them: text, numbers, booleans, null, lists, objects."""
    is_cut: bool
    """There are more rows than these."""
    not_finite_count: int
    """Numbers that are NaN or infinite, null in ``rows``."""
    place: Mapping[str, str]
    """``dataset``, ``run_id`` and ``layer`` where the query names them."""
    seconds: float

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(name for name, _ in self.columns)


class QueryError(ConfigError):
    """A query that was not answered; its message keeps DuckDB's lines, which point at the place."""


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    is_spent: bool = False
    """It answers no other query."""

    def stop(self) -> None:
        """At once."""
        self.pipe.close()
        self.process.kill()
        self.process.join()


class Console:
    """Answers queries about a warehouse; processes start when they are needed."""

    def __init__(self, warehouse: str, limit_s: float = LIMIT_S) -> None:
        """Args:
        warehouse: Folder or URL.
        limit_s: How long a query may take, in seconds.
        """
        self._warehouse = warehouse
        self._limit_s = limit_s
        self._free = threading.Semaphore(PROCESSES)
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()

    def ask(self, query: str, max_rows: int = SHOWN_ROWS) -> SqlAnswer:
        """The answer to a query.

        Args:
            query: SQL, one statement.
            max_rows: Rows that are read of its answer.

        Raises:
            QueryError: It is no question about the views, it is wrong, it took too long or too much, or
                others are being answered.
        """
        question: Question = {"query": query, "max_rows": max_rows, "limit_s": self._limit_s}
        with self._worker() as worker:
            reply = _exchange(worker, question)
            worker.is_spent = reply["is_last"]
        if "message" in reply:
            raise QueryError(reply["message"], reply["hint"])
        return SqlAnswer(
            columns=tuple((name, kind) for name, kind in reply["columns"]),
            rows=tuple(map(tuple, reply["rows"])),
            is_cut=reply["is_cut"],
            not_finite_count=reply["not_finite_count"],
            place=reply["place"],
            seconds=reply["seconds"],
        )

    def close(self) -> None:
        """Stop all that wait; the next query sees the warehouse as it is then."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.stop()

    @contextmanager
    def _worker(self) -> Iterator[_Worker]:
        """A process for one query, kept for the next unless it failed."""
        if not self._free.acquire(timeout=self._limit_s):
            raise QueryError(
                "Other queries are being answered.",
                f"{PROCESSES} at a time: try again in a moment.",
            )
        try:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            worker = worker or self._start()
            try:
                yield worker
            except BaseException:
                worker.is_spent = True
                raise
            finally:
                if worker.is_spent:
                    worker.stop()
                else:
                    with self._lock:
                        self._idle.append(worker)
        finally:
            self._free.release()

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(self._warehouse, theirs), daemon=True)
        process.start()
        theirs.close()  # else we would never see it closed
        worker = _Worker(process, ours)
        try:
            opened = _receive(ours, OPEN_S)
        except (EOFError, OSError) as error:
            worker.stop()
            raise QueryError("The process that answers queries did not start.", "") from error
        if "message" in opened:
            worker.stop()
            raise QueryError(opened["message"], opened["hint"])
        return worker


def _exchange(worker: _Worker, question: Question) -> Reply:
    try:
        worker.pipe.send_bytes(json.dumps(question).encode())
        return _receive(worker.pipe, question["limit_s"] + GRACE_S)
    except TimeoutError as error:
        raise QueryError(
            f"The query took longer than {question['limit_s']:g} s and could not be stopped in order.",
            "Its process was ended; the next query has another.",
        ) from error
    except (EOFError, OSError) as error:
        raise QueryError(
            "The process that answered the query is gone.",
            f"It asked for more memory than there is, most likely: DuckDB may have {MEMORY}.",
        ) from error


def _receive(pipe: Connection, wait_s: float) -> Reply:
    if not pipe.poll(wait_s):
        raise TimeoutError
    reply: Reply = json.loads(pipe.recv_bytes())
    return reply
