"""``--processes``: several processes of one command, and what becomes of those that are killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hooking import at_start
from running import LAYER, MODEL, make_config, run_bytes, run_folder, run_manifests
from waiting import LIMIT_S, patience, wait_for
from watching import SHARD_COUNT, SHARD_SIZE

from pipeline.base.errors import DeviceError, HookError, ShardError
from pipeline.base.progress import NoProgress
from pipeline.base.storage import Store
from pipeline.extract.board import Board
from pipeline.extract.locks import ShardLocks
from pipeline.extract.run import extract
from pipeline.extract.seat import Seat, choose_devices, process_count, worker_count
from pipeline.tables.datasets import read_dataset

BAD, FAILING = 5, 9
"""The shard in which a process is killed, and one that is damaged."""


class Notes(NoProgress):
    """What a person is told."""

    def __init__(self) -> None:
        self.totals: list[int | None] = []
        self.count, self.notes = 0, []

    def start(self, what: str, total: int | None) -> None:
        self.totals.append(total)

    def advance(self, count: int, note: str = "") -> None:
        self.count += count
        self.notes += [note] if note else []


def when_it_writes(shard: int, what: str) -> str:
    """Code that does something when a file of a shard gets its name, but for the manifest."""
    return f"""
    import os, signal, time
    def replace_or_not(source, target, replace=os.replace):
        name = str(target).rsplit("/", 1)[-1]
        if name.startswith("{shard:05d}") and name.endswith(".parquet") and "/run_id=" in str(target):
            {what}
        replace(source, target)
    os.replace = replace_or_not
    """


@pytest.mark.slow
def test_two_processes_give_what_one_gives(fresh: Path, unbroken: dict[str, bytes]) -> None:
    told = Notes()
    done = extract(make_config(fresh, processes=2), told)
    assert run_bytes(fresh) == unbroken
    assert told.totals == [SHARD_COUNT * SHARD_SIZE] and told.count == SHARD_COUNT * SHARD_SIZE
    assert sorted(note.split()[0] for note in told.notes) == [
        f"{n:05d}" for n in range(SHARD_COUNT)
    ]
    assert sorted(m["ordinal"] for m in done.manifests) == list(range(SHARD_COUNT))
    assert (done.shard_count, done.skipped_shard_count) == (SHARD_COUNT, 0)
    assert done.written_count == SHARD_COUNT * SHARD_SIZE
    record = json.loads((run_folder(fresh) / "run.json").read_text())
    assert record["config"]["device"] == "cpu" and record["config"]["workers"] == 2


@pytest.mark.slow
def test_one_that_is_killed_loses_its_shard_and_no_other(
    fresh: Path,
    unbroken: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Beside it a shard fails of itself: it is tried once, not by each process, and told once."""
    tar = Path(read_dataset(Store(fresh / "warehouse"), "d").shards[FAILING].url)
    data = tar.read_bytes()
    tar.write_bytes(b"\0" * len(data))
    try:
        with monkeypatch.context() as patch:
            kill = "os.kill(os.getpid(), signal.SIGKILL)"
            at_start(patch, fresh, when_it_writes(BAD, kill))
            with pytest.raises(ShardError) as raised:
                extract(make_config(fresh, processes=2))
    finally:
        tar.write_bytes(data)
    said = str(raised.value) + caplog.text
    assert f"2 of {SHARD_COUNT} shards failed; the others are done." in said
    assert f"Shard '{BAD:05d}': process " in said
    assert said.count("was killed by SIGKILL. The others go on.") == 1
    assert said.count("has changed since it was indexed") == 1
    status = {manifest["ordinal"]: manifest["status"] for manifest in run_manifests(fresh)}
    assert status.pop(FAILING) == "failed"
    assert set(status) == set(range(SHARD_COUNT)) - {BAD, FAILING}

    assert extract(make_config(fresh)).skipped_shard_count == SHARD_COUNT - 2
    assert run_bytes(fresh) == unbroken
    assert not list(run_folder(fresh).rglob("*.tmp-*"))


@pytest.mark.slow
def test_when_none_is_left_it_says_what_was_not_begun(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One is killed, and one stops in the middle, so that it is taken for hung."""
    kill = when_it_writes(0, "os.kill(os.getpid(), signal.SIGKILL)")
    at_start(monkeypatch, fresh, kill + when_it_writes(1, "os.kill(os.getpid(), signal.SIGSTOP)"))
    with pytest.raises(ShardError, match=r"2 of 24 shards failed; \d+ were not begun"):
        extract(make_config(fresh, processes=2, lease_s=patience(5)))
    assert caplog.text.count("it is taken for hung and killed") == 1


@pytest.mark.slow
def test_what_is_wrong_with_the_model_is_told_once(
    fresh: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(HookError, match=r"visual\.layer9"):
        extract(make_config(fresh, processes=2, layers=("visual.layer9",)))
    said = capfd.readouterr().err  # of the processes as well
    assert "HookError" not in said and "Traceback" not in said
    assert not run_folder(fresh).exists()


@pytest.mark.slow
@pytest.mark.parametrize("who", ["all", "parent"])
def test_ctrl_c_ends_all_of_them_in_order(
    fresh: Path, unbroken: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """Ctrl-C reaches every process of the terminal; a parent that is killed can tell them nothing."""
    pids = fresh / "pids"
    pids.mkdir()
    with monkeypatch.context() as patch:
        slowly = f"open('{pids}/' + str(os.getpid()), 'w').close(); time.sleep(0.3)"
        at_start(patch, fresh, when_it_writes(0, slowly) + when_it_writes(1, slowly))
        process = subprocess.Popen(
            command(fresh, "--processes", "2"),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=heed_interrupts,
        )
    wait_for(lambda: any(pids.iterdir()), process)
    if who == "all":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.kill()
    _, said = process.communicate(timeout=LIMIT_S)
    if who == "all":
        assert process.returncode == 130
        assert said.endswith("Interrupted. Finished shards are kept: run the same command again.\n")
        assert "Traceback" not in said
    working = [int(file.name) for file in pids.iterdir()]
    wait_for(lambda: not any(is_alive(pid) for pid in working))
    assert not list(run_folder(fresh).rglob("*.tmp-*"))  # they stopped in order
    extract(make_config(fresh))
    assert run_bytes(fresh) == unbroken


def heed_interrupts() -> None:
    """Also where whoever runs the tests ignores Ctrl-C, as a shell does for what it runs aside."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command(folder: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "pipeline.cli", "extract", "--dataset", "d", "--model", MODEL),
        *("--warehouse", str(folder / "warehouse"), "--layer", LAYER, "--run", "r"),
        *("--device", "cpu", "--batch-size", "16", "--top-k", "5", *more),
    ]


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def make_seat(folder: Path, cells: Any, index: int, count: int = 3) -> Seat:
    return Seat(index, 2, "cpu", 1, str(folder / "locks"), tuple(range(count)), cells)


def test_what_a_dead_process_was_doing_is_nobodys_and_what_it_laid_aside_is_free(
    many_shards: Path, tmp_path: Path
) -> None:
    shards = read_dataset(Store(many_shards / "warehouse"), "d").shards[:3]
    cells = multiprocessing.get_context("spawn").RawArray("i", 3)
    store = Store(tmp_path / "warehouse")
    dead, alive = (ShardLocks(store, "run", 600.0, make_seat(tmp_path, cells, n)) for n in (0, 1))
    ahead = dead.free_ones(shards)
    assert [next(ahead).ordinal, next(ahead).ordinal] == [0, 1]
    dead.release_all()  # as the system does
    board = Board(cells, (0, 1, 2))
    assert board.done_by(0) == [0]
    assert [shard.ordinal for shard in alive.free_ones(shards)] == [1, 2]
    assert alive.is_settled(shards[0]) and not alive.is_settled(shards[1])
    alive.release(shards[1])
    assert board.done_by(1) == [2] and sorted(board.unended()) == [0, 2]
    assert dead.is_settled(shards[1]) and dead.is_settled(shards[2])


def test_no_two_processes_take_one_shard_where_the_warehouse_has_no_locks(
    many_shards: Path, tmp_path: Path
) -> None:
    shards = read_dataset(Store(many_shards / "warehouse"), "d").shards[:3]
    cells = multiprocessing.get_context("spawn").RawArray("i", 3)
    store = Store("memory://no-locks")
    one, two = (ShardLocks(store, "run", 600.0, make_seat(tmp_path, cells, n)) for n in (0, 1))
    first = one.free_ones(shards)
    assert next(first).ordinal == 0
    assert [shard.ordinal for shard in two.free_ones(shards)] == [1, 2]
    assert not two.is_ours_alone(shards[1])  # another machine may write it too


def test_how_many_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = make_config(tmp_path, workers=0)
    assert process_count(one) == 1 and choose_devices(one, 3) == ["cpu"] * 3
    assert worker_count(one, 3) == 3 and worker_count(one, 64) == 8
    assert worker_count(make_config(tmp_path, workers=5), 3) == 5
    assert process_count(make_config(tmp_path, processes=4)) == 4
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    every = make_config(tmp_path, device="cuda:all")
    assert process_count(every) == 2
    assert choose_devices(every, 3) == ["cuda:0", "cuda:1", "cuda:0"]
    assert choose_devices(make_config(tmp_path, device="cuda"), 2) == ["cuda", "cuda"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="only where there is no GPU")
def test_all_gpus_of_a_machine_without_one(dataset: Path) -> None:
    with pytest.raises(DeviceError, match="cuda:all"):
        extract(make_config(dataset, device="cuda:all"))
