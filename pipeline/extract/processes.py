"""``--processes N``: several processes on one machine do a run's shards, and one tells of it.

Each is a Python of its own (spawned: CUDA does not survive a fork) that walks the main path and takes the
shards that no other one has. It says what it does through a pipe of its own, so that one that is killed
in the middle of a word breaks nobody else's; and when the pipe is closed at the other end, it stops.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from pipeline.base.cores import core_count
from pipeline.base.errors import NeuronsError, ShardError
from pipeline.base.settings import ExtractConfig
from pipeline.base.storage import Store
from pipeline.base.warn import warn_once
from pipeline.extract.account import Account
from pipeline.extract.board import Board
from pipeline.extract.child import Message, work
from pipeline.extract.seat import Seat, choose_devices
from pipeline.tables.datasets import (
    Dataset,
    Shard,
    run_folder,
)
from pipeline.tables.manifest_files import read_manifest

LOOK_EVERY_S = 1.0
"""Seconds between two looks at who says nothing."""

END_WITHIN_S = 30.0
"""Seconds that a process has to stop in order, before it is killed."""


@dataclass
class _Child:
    process: BaseProcess
    pipe: Connection
    index: int
    has_ended: bool = False
    """Whether it said so: it has nothing left to do."""
    heard_at: float | None = None
    """When it said something last, by the monotonic clock, once it has opened the run."""


def extract_together(
    config: ExtractConfig, account: Account, dataset: Dataset, shards: Sequence[Shard], count: int
) -> None:
    """Do shards in several processes.

    Args:
        config: What to compute.
        account: Told of every batch and every shard of all of them.
        dataset: Whose shards.
        shards: Those to do.
        count: How many processes.

    Raises:
        NeuronsError: Nothing could be started, or the disk is full; told by the first that met it. The
            others are stopped.
    """
    devices = choose_devices(config, count)
    context = multiprocessing.get_context("spawn")
    ordinals = tuple(shard.ordinal for shard in shards)
    cells = context.RawArray("i", len(ordinals))
    children: list[_Child] = []
    with tempfile.TemporaryDirectory(prefix="neurons-locks-") as folder:
        try:
            for index, device in enumerate(devices):
                cores = max(1, core_count() // count)
                seat = Seat(index, count, device, cores, folder, ordinals, cells)
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=work, args=(seat, config, dataset, shards, theirs), daemon=True
                )
                process.start()
                theirs.close()  # else we would never see it closed
                children.append(_Child(process, ours, index))
            dead = _Dead(config, account, shards, Board(cells, ordinals), count)
            _listen(children, account, dead, config.lease_s)
        finally:
            _stop(children)
            account.finish()


def _listen(children: Sequence[_Child], account: Account, dead: _Dead, lease_s: float) -> None:
    """Until every process has ended: count what they do, pass on what they say."""
    alive = {child.pipe: child for child in children}
    while alive:
        _kill_hung(alive.values(), lease_s)
        for pipe in wait(list(alive), LOOK_EVERY_S):
            assert isinstance(pipe, Connection)
            child = alive[pipe]
            try:
                message: Message = pipe.recv()
            except (EOFError, OSError):  # also in the middle of a message
                del alive[pipe]
                child.process.join()
                if not child.has_ended:
                    dead.add(child)
                continue
            if child.heard_at is not None or message[0] == "begin":
                child.heard_at = time.monotonic()
            match message:
                case ("begin", *about):
                    account.begin(*about)
                case ("advance", count):
                    account.advance(count)
                case ("add", manifest, error):
                    account.add(manifest, error)
                case ("say", logger, level, text):
                    _say(logger, level, text)
                case ("fail", error):
                    raise error
                case ("end",):
                    child.has_ended = True
    dead.conclude()


def _kill_hung(children: Iterable[_Child], lease_s: float) -> None:
    """Kill who has said nothing for too long. (Who waits for another machine's shard says so.)"""
    for child in children:
        if child.heard_at is not None and time.monotonic() - child.heard_at > lease_s:
            child.heard_at = None
            warn_once(
                f"Process {child.index + 1} ({child.process.pid}) has said nothing for {lease_s:g} s: it "
                "is taken for hung and killed."
            )
            child.process.kill()


class _Dead:
    """What becomes of the shards of processes that were killed."""

    def __init__(
        self,
        config: ExtractConfig,
        account: Account,
        shards: Sequence[Shard],
        board: Board,
        count: int,
    ) -> None:
        self._config, self._account, self._board, self._count = config, account, board, count
        self._shards = {shard.ordinal: shard for shard in shards}
        self._causes: list[str] = []
        self._begun: set[int] = set()

    def add(self, child: _Child) -> None:
        """A process has ended and did not say that it would. The shard that it was doing is lost."""
        code = child.process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        name = f"Process {child.index + 1} of {self._count} ({child.process.pid})"
        self._causes.append(f"{name} {how}.")
        for ordinal in self._board.done_by(child.index):
            self._begun.add(ordinal)
            if not self._is_done(ordinal):
                self._account.summary.failures.append(
                    ShardError(
                        f"Shard {self._shards[ordinal].name!r}: {name[0].lower()}{name[1:]} {how} "
                        "while it did this shard.",
                        "If the system did it for want of memory: fewer --processes, or a smaller "
                        "--batch-size.",
                    )
                )
        warn_once(f"{name} {how}. The others go on.")

    def conclude(self) -> None:
        """All have ended: find what nobody did.

        Raises:
            NeuronsError: They were killed before any had opened the run.
        """
        if not self._causes:
            return
        if not self._account.summary.run_id:
            raise NeuronsError(
                f"No process got as far as to open the run. {' '.join(self._causes)}",
                "Look above for what they said. If the system killed them for want of memory: fewer "
                "--processes, or a smaller --batch-size.",
            )
        left = set(self._board.unended()) - self._begun
        self._account.summary.left_count = sum(not self._is_done(ordinal) for ordinal in left)

    def _is_done(self, ordinal: int) -> bool:
        """Whether a shard is done; then it is counted, if its process could not say so any more."""
        summary = self._account.summary
        folder = run_folder(self._config.dataset, summary.run_id)
        manifest = read_manifest(Store(self._config.warehouse), folder, ordinal)
        if manifest is None or manifest["status"] != "done":
            return False
        if ordinal in self._begun and ordinal not in {m["ordinal"] for m in summary.manifests}:
            self._account.add(manifest)
        return True


def _say(logger: str, level: int, text: str) -> None:
    """Pass on what a process logged: the same words of several are one warning."""
    if logger == "pipeline":
        warn_once(text)
    else:
        logging.getLogger(logger).log(level, "%s", text)


def _stop(children: Sequence[_Child]) -> None:
    """End all that are left: asked to, and killed if they do not within some time."""
    for child in children:
        child.pipe.close()
        if child.process.is_alive():
            child.process.terminate()
    for child in children:
        child.process.join(END_WITHIN_S)
        if child.process.is_alive():
            child.process.kill()
            child.process.join()
        child.process.close()
