"""Whole processes: killed at any moment, and side by side."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from running import (
    make_config,
    run_bytes,
    run_folder,
    run_manifests,
)
from waiting import wait_for
from watching import SHARD_COUNT, SHARD_SIZE, read_views

from bench.dying import die_at
from pipeline.base.progress import NoProgress
from pipeline.extract.run import extract

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def context() -> Iterator[Any]:
    """Starts processes that have imported everything already, so that a test can kill many."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["running"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        warm = context.Process(target=len, args=((),))
        warm.start()
        warm.join()
        yield context


class Processes:
    """Processes of one test; none outlives it."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.started: list[BaseProcess] = []

    def start(self, folder: Path, stop_at: int = 0, **settings: Any) -> BaseProcess:
        """Begin an extraction, and wait until it has stopped where that is asked for."""
        process: BaseProcess = self.context.Process(target=work, args=(folder, stop_at, settings))
        process.start()
        self.started.append(process)
        if stop_at:
            wait_for(lambda: is_stopped(process) or not process.is_alive())
            assert is_stopped(process)
        return process


@pytest.fixture
def processes(context: Any) -> Iterator[Processes]:
    processes = Processes(context)
    yield processes
    for process in processes.started:
        process.kill()
        process.join()


def is_stopped(process: BaseProcess) -> bool:
    """Whether a process stands still, all its threads."""
    about = Path(f"/proc/{process.pid}/stat")
    return about.exists() and about.read_text().rsplit(")", 1)[1].split()[0] == "T"


class Slow(NoProgress):
    """Lets another process look, first in the middle and then on the way."""

    def __init__(self, go: Path) -> None:
        self.left, self.go = SHARD_COUNT * SHARD_SIZE // 2, go

    def advance(self, count: int, note: str = "") -> None:
        self.left -= count
        if self.left < 0:
            wait_for(self.go.exists)
            time.sleep(0.02)


def work(folder: Path, stop_at: int, settings: dict[str, Any]) -> None:
    """What ``neurons extract`` does, in a process of its own.

    It stops, as by Ctrl-Z, at a sync or rename after its first shard: after the n-th if n is odd; if n is
    even before a rename (one in three such calls is), so with a file that has no name yet.
    """
    stopping = {"sent": signal.SIGSTOP, "since": "/manifests/"}
    if stop_at % 2:
        die_at(stop_at, "replace", "fsync", is_after=True, **stopping)
    elif stop_at:
        die_at(stop_at // 3 + 1, "replace", is_after=False, **stopping)
    is_watched = settings.pop("is_watched", False)
    progress = Slow(folder / "go") if is_watched else NoProgress()
    done = [
        manifest["ordinal"]
        for manifest in extract(make_config(folder, **settings), progress).manifests
    ]
    (folder / f"{os.getpid()}.json").write_text(json.dumps(done))


def test_kill_at_any_moment(processes: Processes, fresh: Path, unbroken: dict[str, bytes]) -> None:
    """Views are right after every kill, and in the end the files are those of an unbroken run."""
    moments, folder = random.Random(0), run_folder(fresh)
    done, rows, half_written = 0, 0, 0
    for attempt in range(4):
        process = processes.start(fresh, stop_at=2 * moments.randint(1, 20) + attempt % 2)
        half_written += len(list(folder.rglob("*.tmp-*"))) > 0
        seen = read_views(fresh)  # as it stands, beside a process that has stopped half-way
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert read_views(fresh) == seen
        assert seen[0] > done and seen[1] > rows  # nothing that was done is lost
        done, rows = seen
    assert half_written >= 2  # each stop before a rename found one
    assert done < SHARD_COUNT
    process = processes.start(fresh)
    process.join()
    assert process.exitcode == 0
    assert len(run_manifests(fresh)) == SHARD_COUNT
    assert run_bytes(fresh) == unbroken
    assert not list(folder.rglob("*.tmp-*"))
    assert read_views(fresh)[0] == SHARD_COUNT


def test_views_are_right_beside_a_running_extraction(processes: Processes, fresh: Path) -> None:
    process = processes.start(fresh, batch_size=4, is_watched=True)
    wait_for((run_folder(fresh) / "run.json").exists)
    counts = [(0, 0)]
    while process.is_alive():
        counts.append(read_views(fresh))
        if counts[-1][0]:
            (fresh / "go").touch()
    process.join()
    assert process.exitcode == 0
    assert counts == sorted(counts) and len(set(counts)) > 1
    assert read_views(fresh)[0] == SHARD_COUNT


def test_two_processes_share_the_work(
    processes: Processes, fresh: Path, unbroken: dict[str, bytes]
) -> None:
    pair = [processes.start(fresh) for _ in range(2)]
    for process in pair:
        process.join()
    assert [process.exitcode for process in pair] == [0, 0]
    done = [json.loads((fresh / f"{process.pid}.json").read_text()) for process in pair]
    assert sorted(done[0] + done[1]) == list(range(SHARD_COUNT))  # every shard once
    assert run_bytes(fresh) == unbroken


def test_the_rest_is_taken_over_from_a_process_that_dies(
    processes: Processes, fresh: Path, unbroken: dict[str, bytes]
) -> None:
    """The survivor waits for shards that the other holds, and does them when it is dead."""
    victim = processes.start(fresh, stop_at=4)
    survivor = processes.start(fresh)
    manifests = run_folder(fresh) / "manifests"
    wait_for(lambda: len(list(manifests.glob("*.json"))) >= SHARD_COUNT // 2)
    survivor.join(0.5)
    assert survivor.is_alive()  # the stopped one holds its locks
    os.kill(victim.pid or 0, signal.SIGKILL)
    victim.join()
    survivor.join()
    assert survivor.exitcode == 0
    assert run_bytes(fresh) == unbroken


def test_the_rest_is_taken_over_from_a_process_that_hangs(
    processes: Processes, fresh: Path, unbroken: dict[str, bytes]
) -> None:
    """Also what it had begun. When it wakes up it does that again, beside what is there."""
    hung = processes.start(fresh, stop_at=4, lease_s=2.0)
    done, _ = read_views(fresh)
    other = processes.start(fresh, lease_s=2.0)
    other.join()
    assert other.exitcode == 0
    seen = read_views(fresh)
    assert seen[0] == SHARD_COUNT > done
    assert sorted(named_bytes(fresh)) == sorted(unbroken.values())
    while hung.is_alive():  # it stops again after each shard that it commits
        os.kill(hung.pid or 0, signal.SIGCONT)
        hung.join(0.1)
    assert hung.exitcode == 0
    assert read_views(fresh) == seen
    assert sorted(named_bytes(fresh)) == sorted(unbroken.values())


def named_bytes(folder: Path) -> list[bytes]:
    """Every file that a manifest names, byte for byte, whatever it is called."""
    paths = [entry["path"] for manifest in run_manifests(folder) for entry in manifest["files"]]
    return [(folder / "warehouse" / path).read_bytes() for path in paths]
