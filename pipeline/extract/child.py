"""One of several processes of a command: the main path, and what it says to the one that started it."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from pipeline.base.errors import NeuronsError
from pipeline.base.settings import ExtractConfig
from pipeline.extract.seat import Seat, take_seat
from pipeline.tables.datasets import Dataset, Shard
from pipeline.tables.manifests import ShardManifest

Message = tuple[Any, ...]
"""A word and what goes with it: what `Account` is told (``begin``, ``advance``, ``add``), a line of a log
(``say``), an error that ends all (``fail``), and ``end``."""


def work(
    seat: Seat,
    config: ExtractConfig,
    dataset: Dataset,
    shards: Sequence[Shard],
    pipe: Connection,
) -> None:
    """Do shards as one of several processes: what such a process runs.

    Args:
        seat: Which it is, and its share of the machine.
        config: What to compute.
        dataset: Whose shards.
        shards: Those that all of them share.
        pipe: To the one that started us. When it is closed there, we stop.
    """
    # Ctrl-C goes to all processes of a terminal: the one that started us heeds it, and stops us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    says = _Says(pipe)
    threading.Thread(target=_watch, args=(pipe,), name="watch", daemon=True).start()
    logging.captureWarnings(True)
    logging.getLogger().addHandler(_Handler(says))
    try:
        from pipeline.extract.run import extract_here

        take_seat(seat)
        extract_here(config, says, dataset, shards, seat)
        says.say("end")
    except KeyboardInterrupt:
        return
    except BaseException as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # we end anyway
        says.say("fail", _sendable(error))


class _Says:
    """The `Account` of a process that has none: all of it goes through the pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._lock = pipe, threading.Lock()

    def say(self, *message: Any) -> None:
        """Send a message. If nobody is there any more, we are about to be stopped."""
        with self._lock, suppress(OSError):
            self._pipe.send(message)

    def begin(self, *about: Any) -> None:
        """As of `Account`."""
        self.say("begin", *about)

    def advance(self, count: int) -> None:
        """As of `Account`."""
        self.say("advance", count)

    def add(self, manifest: ShardManifest, error: NeuronsError | None = None) -> None:
        """As of `Account`."""
        self.say("add", manifest, error)

    def finish(self) -> None:
        """The one that started us knows when all have finished."""


class _Handler(logging.Handler):
    """Warnings go where they are said once for all processes."""

    def __init__(self, says: _Says) -> None:
        super().__init__(logging.WARNING)
        self._says = says

    def emit(self, record: logging.LogRecord) -> None:
        """Send a line."""
        self._says.say("say", record.name, record.levelno, record.getMessage())


def _stop(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: the end is not to be interrupted
    raise KeyboardInterrupt


def _watch(pipe: Connection) -> None:
    """Wait until the one that started us closes the pipe, or dies; then stop in order."""
    with suppress(EOFError, OSError):
        pipe.recv()
    os.kill(os.getpid(), signal.SIGTERM)


def _sendable(error: BaseException) -> BaseException:
    """The error with its traceback as a note, or its traceback alone if it cannot be sent."""
    text = "".join(traceback.format_exception(error)).rstrip()
    if isinstance(error, NeuronsError):
        return error
    error.add_note(f"In the process:\n{text}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(text)
    return error
