"""Ctrl-C: the first ends a command in order, also while DuckDB works; the second ends it at once.

Python tells its main thread of a signal only between two of its own instructions, and a query can run
for an hour inside one. So a thread waits for the signal itself (through the descriptor that Python's C
handler writes to) and stops all open queries; then the main thread goes on, to `KeyboardInterrupt`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STATUS = 130
"""Exit status of a command that was interrupted: 128 + SIGINT."""

_REPEAT_S = 0.2
_SHOW_CURSOR = "\x1b[?25h"

_interrupted = threading.Event()


def is_interrupted() -> bool:
    """Whether Ctrl-C was pressed: whatever is raised from then on is a consequence."""
    return _interrupted.is_set()


@contextmanager
def watch_interrupts() -> Iterator[None]:
    """Within the block Ctrl-C also stops DuckDB. A no-op where SIGINT is ignored (``nohup``, ``&``)."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    _interrupted.clear()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, _raise)
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(reader, ended), name="ctrl-c", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.set_wakeup_fd(before)
        ended.set()
        os.close(writer)  # the thread reads the end and goes
        thread.join()


def _raise(_: int, frame: FrameType | None) -> None:
    # Where DuckDB calls back into Python it would be lost; there the query itself is stopped.
    if frame is None or frame.f_globals.get("__name__") != "pipeline.warehouse.files":
        raise KeyboardInterrupt


def _watch(reader: int, ended: threading.Event) -> None:
    stopper = threading.Thread(
        target=_stop_queries, args=(ended,), name="stop-queries", daemon=True
    )
    while data := os.read(reader, 64):
        presses = data.count(signal.SIGINT)
        if presses and (presses > 1 or _interrupted.is_set()):
            _end_at_once()
        if presses:
            _interrupted.set()
            stopper.start()
    os.close(reader)
    if stopper.ident is not None:
        stopper.join()


def _stop_queries(ended: threading.Event) -> None:
    """Stop what runs, again and again: a query may begin just after it was told to stop."""
    duck = sys.modules.get("pipeline.warehouse.duck")  # not loaded: nothing runs
    while duck is not None:
        with suppress(RuntimeError):  # one is opened just now: the next round has it
            for connection in list(duck.OPEN):
                with suppress(Exception):  # it was closed meanwhile
                    connection.interrupt()
                del connection
        if ended.wait(_REPEAT_S):
            return


def _end_at_once() -> None:
    with suppress(OSError):
        if os.isatty(2):
            os.write(2, _SHOW_CURSOR.encode())
        os.write(2, b"Ended at once.\n")
    os._exit(STATUS)
