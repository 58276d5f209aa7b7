"""Ctrl-C: the first ends a command in order, also while DuckDB works; the second ends it at once.

Python tells its main thread of a signal only between two of its own instructions, and a query can run
for an hour inside one. So a thread waits for the signal itself (through the descriptor that Python's C
handler writes to) and stops all open queries; then the main thread goes on, to `KeyboardInterrupt`.
"""

from __future__ import annotations

import os
import select
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


class QuestionStopper:
    """Ctrl-C for a process that goes on: it stops the question that is asked just now, and nothing else."""

    def __init__(self) -> None:
        self.was_pressed = False
        """While the last question was answered: whatever it raised is a consequence."""
        self._is_asked = False

    @contextmanager
    def question(self) -> Iterator[None]:
        """Within the block the first Ctrl-C stops DuckDB and comes out as `KeyboardInterrupt` or as
        DuckDB's error. Those that follow, and those outside, do nothing.
        """
        self.was_pressed, self._is_asked = False, True
        try:
            yield
        finally:
            self._is_asked = False

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if self._is_asked and not self.was_pressed:
            self.was_pressed = True
            _raise(number, frame)

    def _watch(self, reader: int) -> None:
        is_stopping = False
        while True:
            if select.select([reader], [], [], _REPEAT_S if is_stopping else None)[0]:
                data = os.read(reader, 64)
                if not data:
                    os.close(reader)
                    return
                is_stopping = is_stopping or signal.SIGINT in data
            is_stopping = is_stopping and self._is_asked
            if is_stopping:
                _stop_open_queries()


@contextmanager
def watch_questions() -> Iterator[QuestionStopper]:
    """Ctrl-C within the block is for `QuestionStopper.question` alone; also inside `watch_interrupts`."""
    stopper = QuestionStopper()
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.SIG_IGN:
        yield stopper
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, stopper._raise)
    thread = threading.Thread(target=stopper._watch, args=(reader,), name="ctrl-c", daemon=True)
    thread.start()
    try:
        yield stopper
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)
        os.close(writer)  # the thread reads the end and goes
        thread.join()


@contextmanager
def lend_signals() -> Iterator[None]:
    """For a library that takes the descriptor of signals for itself and does not give it back."""
    before = signal.set_wakeup_fd(-1)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)


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
    while not ended.is_set():
        _stop_open_queries()
        ended.wait(_REPEAT_S)


def _stop_open_queries() -> None:
    duck = sys.modules.get("pipeline.warehouse.duck")  # not loaded: nothing runs
    if duck is not None:
        with suppress(RuntimeError):  # one is opened just now: the next round has it
            for connection in list(duck.OPEN):
                with suppress(Exception):  # it was closed meanwhile
                    connection.interrupt()
                del connection


def _end_at_once() -> None:
    with suppress(OSError):
        if os.isatty(2):
            os.write(2, _SHOW_CURSOR.encode())
        os.write(2, b"Ended at once.\n")
    os._exit(STATUS)
