"""Telling how far a long job is: nowhere, in a log, as a bar, or wherever a caller wants."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Protocol

from pipeline.base.display import guard_terminal, show

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ProgressCallback(Protocol):
    """Told of one phase after another: start, any number of advances, finish."""

    def start(self, what: str, total: int | None) -> None:
        """A phase begins: what is done, and how many steps it has (None: not known)."""

    def advance(self, count: int, note: str = "") -> None:
        """``count`` more steps are done; ``note`` is one line about them, or empty."""

    def finish(self) -> None:
        """The phase is over. Also called when it failed."""


class NoProgress:
    """Tells nobody."""

    def start(self, what: str, total: int | None) -> None:
        """Do nothing."""

    def advance(self, count: int, note: str = "") -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""


class LogProgress:
    """One line in a log for each advance that has a note.

    Args:
        logger: Where to; by default the logger ``pipeline``, at level INFO.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self.logger = logger or logging.getLogger("pipeline")
        self._what, self._total, self._done, self._began = "", None, 0, 0.0

    _total: int | None

    def start(self, what: str, total: int | None) -> None:
        """Log what begins."""
        self._what, self._total, self._done, self._began = show(what), total, 0, time.monotonic()
        self.logger.info("%s: begins%s", self._what, "" if total is None else f", {total} in all")

    def advance(self, count: int, note: str = "") -> None:
        """Log the note, with how many are done."""
        self._done += count
        if note:
            of = "" if self._total is None else f"/{self._total}"
            self.logger.info("%s %d%s: %s", self._what, self._done, of, show(note))

    def finish(self) -> None:
        """Log the number of steps and the seconds."""
        seconds = time.monotonic() - self._began
        self.logger.info("%s: %d in %.1f s", self._what, self._done, seconds)


class BarProgress:
    """A bar in the terminal (standard error), made by rich."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def start(self, what: str, total: int | None) -> None:
        """Show a bar; one that pulses if the total is not known."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self.finish()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(show(what), total=total, note="")
        self._bar.start()

    def advance(self, count: int, note: str = "") -> None:
        """Move the bar; the note stands beside it until the next one."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, count)
            if note:
                self._bar.update(self._task, note=show(note))

    def finish(self) -> None:
        """Leave the bar as it is and give the terminal back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None


def choose_progress() -> ProgressCallback:
    """A bar on a terminal, one line a shard in a log: what the command line shows."""
    if sys.stderr.isatty():
        return BarProgress()
    guard_terminal()
    logging.getLogger("pipeline").setLevel(logging.INFO)
    return LogProgress()
