"""The process that answers strangers' SQL: a connection of its own, with little memory, at low priority.

It can be killed at any moment, and nothing that a query does to it reaches the pages.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from datetime import date, datetime
from datetime import time as clock_time
from decimal import Decimal
from multiprocessing.connection import Connection
from typing import Any, TypedDict

import duckdb

from pipeline.base.errors import NeuronsError
from pipeline.base.faults import explain_fault
from pipeline.warehouse.connect import connect
from pipeline.warehouse.duck import bound_threads, open_cursor, restrict
from pipeline.web.sql_check import SqlCheck

MEMORY = "1GB"
"""What DuckDB holds of one query; beyond it, it spills."""
SPILL = "4GB"
PROCESS_BYTES = 2 * 2**30
"""What the process may take in all: DuckDB's limit does not count the values of a result."""
MAX_BYTES = 32_000_000
"""Of an answer, as JSON."""
_CHUNK_ROWS = 500
_KEPT_BYTES = 700_000_000
"""A process that once took more is not kept: what it took it may not give back."""


class Question(TypedDict):
    """What the process is asked."""

    query: str
    max_rows: int
    limit_s: float


class Reply(TypedDict, total=False):
    """What it says: the fields of an answer, or what is wrong."""

    columns: list[tuple[str, str]]
    rows: list[list[Any]]
    is_cut: bool
    """There are more rows than these."""
    not_finite_count: int
    """Numbers that are none (NaN, infinite): null among the rows."""
    place: dict[str, str]
    seconds: float
    message: str
    hint: str
    is_last: bool
    """Another process shall answer the next one."""


def serve(warehouse: str, pipe: Connection) -> None:
    """Answer questions until the other end is closed.

    Args:
        warehouse: Folder or URL.
        pipe: Of JSON, a `Question` and its `Reply` in turns.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us stops us
    with suppress(OSError):
        os.nice(10)
    bound_threads(max(1, (os.cpu_count() or 2) // 2))
    try:
        connection = _open(warehouse)
    except NeuronsError as error:
        _send(pipe, {"message": error.message, "hint": error.hint})
        return
    check = SqlCheck(connection)
    _bound_process()
    kept = max(_KEPT_BYTES, _peak_bytes())  # a process begins with the peak of the one that made it
    _send(pipe, {})
    with suppress(EOFError, OSError):
        while True:
            question: Question = json.loads(pipe.recv_bytes())
            reply = _reply(connection, check, question, warehouse)
            _send(pipe, {**reply, "is_last": _peak_bytes() > kept})


def _open(warehouse: str) -> duckdb.DuckDBPyConnection:
    connection = connect(warehouse, unrestricted=True)
    # A name that is no view would be looked for among the variables of this module.
    connection.execute("set python_enable_replacements = false")
    connection.execute(f"set memory_limit = '{MEMORY}'")
    connection.execute(f"set max_temp_directory_size = '{SPILL}'")
    restrict(connection)
    return connection


def _bound_process() -> None:
    import resource

    with suppress(OSError, ValueError):  # a system that knows no such limit
        resource.setrlimit(resource.RLIMIT_DATA, (PROCESS_BYTES, PROCESS_BYTES))


def _peak_bytes() -> int:
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _send(pipe: Connection, reply: Reply) -> None:
    pipe.send_bytes(
        json.dumps(reply, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    )


def _reply(
    connection: duckdb.DuckDBPyConnection, check: SqlCheck, question: Question, warehouse: str
) -> Reply:
    began = time.monotonic()
    cursor = open_cursor(connection)
    timer = threading.Timer(question["limit_s"], cursor.interrupt)
    timer.start()
    try:
        checked = check.check(question["query"])
        cursor.execute("begin transaction read only")
        cursor.execute(checked.sql)
        reply = _read(cursor, question["max_rows"], began + question["limit_s"])
    except NeuronsError as error:
        return {"message": error.message, "hint": error.hint}
    except duckdb.InterruptException:
        return _too_long(question["limit_s"])
    except (duckdb.OutOfMemoryException, MemoryError):
        return {
            "message": f"The query needs more memory than it may have ({MEMORY}).",
            "hint": "Ask for fewer columns or rows, or aggregate first. neurons sql has no such limit.",
        }
    except duckdb.Error as error:
        if fault := explain_fault(error, warehouse):
            return {"message": fault.message, "hint": fault.hint}
        return {"message": str(error).strip(), "hint": ""}
    finally:
        timer.cancel()
        cursor.close()
    reply["place"] = dict(checked.place)
    reply["seconds"] = time.monotonic() - began
    return reply


def _too_long(limit_s: float) -> Reply:
    return {
        "message": f"The query took longer than {limit_s:g} s and was stopped.",
        "hint": "Filter by dataset, run_id, layer and unit, or add a limit. neurons sql takes its time.",
    }


def _read(cursor: duckdb.DuckDBPyConnection, max_rows: int, deadline: float) -> Reply:
    """The first rows of an answer, as JSON has them.

    Raises:
        duckdb.InterruptException: It took until the deadline.
    """
    columns = [(str(name), str(kind)) for name, kind, *_ in cursor.description or ()]
    rows: list[list[Any]] = []
    counted = _NotFinite()
    size, is_cut = 0, False
    while not is_cut and (found := cursor.fetchmany(_CHUNK_ROWS)):
        if time.monotonic() > deadline:
            raise duckdb.InterruptException
        for row in found:
            made = [counted.plain(value) for value in row]
            size += len(json.dumps(made, ensure_ascii=False))
            if len(rows) == max_rows or size > MAX_BYTES:
                is_cut = True
                break
            rows.append(made)
    return {
        "columns": columns,
        "rows": rows,
        "is_cut": is_cut,
        "not_finite_count": counted.count,
    }


class _NotFinite:
    """Values as JSON has them; counts the numbers that it has not."""

    def __init__(self) -> None:
        self.count = 0

    def plain(self, value: object) -> Any:
        """``None`` for a number that is not finite; text for what JSON has no word for."""
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, Decimal):
            value = float(value)
        if isinstance(value, float):
            if math.isfinite(value):
                return value
            self.count += 1
            return None
        if isinstance(value, datetime | date | clock_time):
            return value.isoformat()
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value).hex()
        if isinstance(value, dict):
            return {str(key): self.plain(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(each) for each in value]
        return str(value)
