"""Whole processes: killed at any moment, side by side, and on a disk that fills up."""

from __future__ import annotations

import errno
import fcntl
import gc
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from running import (
    ingest_shards,
    make_config,
    make_pictures,
    run_bytes,
    run_extract,
    run_folder,
    run_manifests,
)
from waiting import wait_for

from pipeline.base.errors import StorageError
from pipeline.base.progress import NoProgress
from pipeline.extract.run import extract
from pipeline.warehouse.connect import connect

pytestmark = pytest.mark.slow

SHARD_COUNT, SHARD_SIZE = 24, 12


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

    It stops, as by Ctrl-Z, at the n-th sync or rename after its first shard: before it if n is even, so
    with half a file written, and after it if n is odd.
    """
    left = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= left > 0
            is_now = left == 1
            if is_now and stop_at % 2 == 0:
                os.kill(os.getpid(), signal.SIGSTOP)
            result = function(*arguments, **options)
            if is_now and stop_at % 2 == 1:
                os.kill(os.getpid(), signal.SIGSTOP)
            if left == 0 and "/manifests/" in str(arguments[-1]):
                left = stop_at + 1
            return result

        return call

    if stop_at:
        os.replace, os.fsync = counted(os.replace), counted(os.fsync)
    is_watched = settings.pop("is_watched", False)
    progress = Slow(folder / "go") if is_watched else NoProgress()
    done = [
        manifest["ordinal"]
        for manifest in extract(make_config(folder, **settings), progress).manifests
    ]
    (folder / f"{os.getpid()}.json").write_text(json.dumps(done))


@pytest.fixture(scope="module")
def many_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many small shards."""
    folder = tmp_path_factory.mktemp("many")
    ingest_shards(
        folder, [make_pictures(SHARD_SIZE, first=SHARD_SIZE * n) for n in range(SHARD_COUNT)]
    )
    return folder


@pytest.fixture(scope="module")
def expected(many_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file of an uninterrupted run of one process."""
    folder = tmp_path_factory.mktemp("expected")
    shutil.copytree(many_shards / "warehouse", folder / "warehouse")
    run_extract(folder)
    return run_bytes(folder)


@pytest.fixture
def fresh(many_shards: Path, tmp_path: Path) -> Path:
    shutil.copytree(many_shards / "warehouse", tmp_path / "warehouse")
    return tmp_path


def read_views(folder: Path) -> tuple[int, int]:
    """Number of shards that are done, after checking that the views show them and nothing else."""
    with connect(folder / "warehouse") as connection:

        def ask(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql).fetchall()

        ((done,),) = ask("select count(*) from stg_run_shards where status = 'done'")
        ((examples,),) = ask("select count(*) from image_embeddings")
        assert examples == done * SHARD_SIZE
        ((rows,),) = ask("select count(*) from activations")
        ((positive,),) = ask("select coalesce(sum(positive_count), 0) from raw_shard_stats")
        assert rows == positive
        ((least, most),) = ask(
            "select min(n), max(n) from (select sum(example_count) as n from raw_shard_stats"
            " group by shard_ordinal, unit)"
        )
        assert done == 0 or (least == most == SHARD_SIZE)
    return int(done), int(rows)


def test_kill_at_any_moment(processes: Processes, fresh: Path, expected: dict[str, bytes]) -> None:
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
    assert half_written >= 2
    assert done < SHARD_COUNT
    process = processes.start(fresh)
    process.join()
    assert process.exitcode == 0
    assert len(run_manifests(fresh)) == SHARD_COUNT
    assert run_bytes(fresh) == expected
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
    processes: Processes, fresh: Path, expected: dict[str, bytes]
) -> None:
    pair = [processes.start(fresh) for _ in range(2)]
    for process in pair:
        process.join()
    assert [process.exitcode for process in pair] == [0, 0]
    done = [json.loads((fresh / f"{process.pid}.json").read_text()) for process in pair]
    assert sorted(done[0] + done[1]) == list(range(SHARD_COUNT))  # every shard once
    assert run_bytes(fresh) == expected


def test_the_rest_is_taken_over_from_a_process_that_dies(
    processes: Processes, fresh: Path, expected: dict[str, bytes]
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
    assert run_bytes(fresh) == expected


# --- a full disk ---------------------------------------------------------------------------------


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a small file system at ``tmp_path/small``: ``mount("size=1m")``."""
    place = tmp_path / "small"
    place.mkdir()

    def run(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
        if os.geteuid() != 0 or shutil.which("mount") is None:
            pytest.skip("needs a disk that fills up: run as root on Linux, to mount a tmpfs")
        if subprocess.run(command, capture_output=True).returncode != 0:
            pytest.skip("needs a disk that fills up: run where root may mount a tmpfs")
        return place

    yield run
    gc.collect()  # the error that a test caught holds the file that could not be written
    if os.path.ismount(place):
        subprocess.run(["umount", str(place)], check=True)


def test_full_disk(
    mount: Callable[..., Path], many_shards: Path, expected: dict[str, bytes]
) -> None:
    used = [file.stat().st_size for file in (many_shards / "warehouse").rglob("*.*")]
    pages = sum(
        -(-size // 4096) for size in [*used, *(len(data) // 2 for data in expected.values())]
    )
    place = mount(f"size={4 * pages}k")  # room for about half of the run
    shutil.copytree(many_shards / "warehouse", place / "warehouse")
    with pytest.raises(StorageError, match=r"The disk is full: .* could not be written") as caught:
        run_extract(place)
    assert "Free some space and run the same command again" in caught.value.hint
    done, _ = read_views(place)
    assert 0 < done == len(run_manifests(place)) < SHARD_COUNT
    assert not list(place.rglob("*.tmp-*"))
    subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
    summary = run_extract(place)
    assert summary.skipped_shard_count == done
    assert run_bytes(place) == expected


def test_without_file_locks_nothing_waits(
    fresh: Path, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on object storage: locks that the dead left hold nobody up, others' files stay."""

    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    locks, activations = run_folder(fresh) / "locks", run_folder(fresh) / "embeddings"
    for folder in (locks, activations):
        folder.mkdir(parents=True)
    for ordinal in range(SHARD_COUNT):
        (locks / f"{ordinal:05d}.lock").write_text("4711")
    (run_folder(fresh) / "run.lock").write_text("4711")
    others = activations / "00003.parquet.tmp-0123abcd"
    others.write_bytes(b"half")
    assert run_extract(fresh).skipped_shard_count == 0
    assert run_bytes(fresh) == expected
    assert others.exists()


class SlowWriter(NoProgress):
    """Holds up the writer's thread, so that the shard's last batches wait behind the one that fails."""

    def advance(self, count: int, note: str = "") -> None:
        time.sleep(0.02)


def test_full_disk_in_the_middle_of_a_shard(mount: Callable[..., Path], tmp_path: Path) -> None:
    """A part that could not be written is never missing from a shard that is done."""
    ingest_shards(tmp_path, [make_pictures(144)])
    layers = tuple(f"visual.layer{n}.0.act3:input:max" for n in range(1, 5))
    settings: dict[str, Any] = {"layers": layers, "activation_dtype": "float32", "store": "all"}
    settings |= {"memory_budget_mb": 1, "batch_size": 4}  # the part before the last batch fails
    place = mount("size=900k")
    shutil.copytree(tmp_path / "warehouse", place / "warehouse")
    with pytest.raises(StorageError, match="The disk is full"):
        extract(make_config(place, **settings), SlowWriter())
    assert run_manifests(place) == []
    subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
    run_extract(place, **settings)
    (manifest,) = run_manifests(place)
    assert manifest["written_count"] == 144 and len(manifest["files"]) > 15
    run_bytes(place)


def test_a_warehouse_that_cannot_be_written(mount: Callable[..., Path], many_shards: Path) -> None:
    place = mount("size=16m")
    shutil.copytree(many_shards / "warehouse", place / "warehouse")
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    with pytest.raises(StorageError, match=r"run\.lock is not writable: Read-only") as caught:
        run_extract(place)
    assert "Give another --warehouse" in caught.value.hint
    subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
    run_extract(place, [0])
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    assert run_extract(place, [0]).skipped_shard_count == 1  # what is done needs no writing
    with pytest.raises(StorageError, match="is not writable"):
        run_extract(place, [1])


def test_a_file_where_the_run_should_be(fresh: Path) -> None:
    run_folder(fresh).write_text("not a folder")
    with pytest.raises(StorageError, match=r"run_id=r/run\.lock"):
        run_extract(fresh)
