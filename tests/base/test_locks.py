"""Locks: one holder at a time, a dead one forgotten; where there are none, work goes on and says so."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from making import ingest_paths, make_samples, write_tar

from pipeline.base import warn
from pipeline.base.errors import StorageError
from pipeline.base.locks import hold_lock, take_lock
from pipeline.base.storage import Store

NO_LOCKS = ("ENOSYS", "EOPNOTSUPP", "ENOLCK", "EINVAL")


@pytest.fixture
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filesystem whose ``flock`` says that it is not there."""
    number = getattr(errno, request.param)

    def flock(fd: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(warn, "_said", set())


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with hold_lock(store, "a/b.lock") as first:
        assert first.is_exclusive
        assert take_lock(store, "a/b.lock", wait=False) is None
        other = take_lock(store, "a/c.lock", wait=False)
        assert other is not None and other.is_exclusive
        other.release()
    again = take_lock(store, "a/b.lock", wait=False)
    assert again is not None
    again.release()


def test_who_waits_says_for_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pipeline.base.locks.SAY_AFTER_S", 0.05)
    store = Store(tmp_path)
    with hold_lock(store, "b.lock"):
        waiting = threading.Thread(target=lambda: take_lock(store, "b.lock"))  # released with it
        waiting.start()
        while not caplog.messages:
            waiting.join(0.01)
    waiting.join(10)
    assert not waiting.is_alive()
    assert caplog.messages == [f"Waiting for another process, which holds {tmp_path}/b.lock."]


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pipeline.base.locks import take_lock; from pipeline.base.storage import Store\n"
        "held = take_lock(Store(sys.argv[1]), 'b.lock'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert (tmp_path / "b.lock").exists()
    assert take_lock(Store(tmp_path), "b.lock", wait=False) is not None


@pytest.mark.parametrize("no_locks", NO_LOCKS, indirect=True)
@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize("wait", [True, False])
def test_without_flock_work_goes_on_and_says_so_once(
    tmp_path: Path, wait: bool, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "b.lock").write_text("")  # a dead process left it
    store = Store(tmp_path)
    for _ in range(2):
        lock = take_lock(store, "b.lock", wait)
        assert lock is not None and not lock.is_exclusive
        lock.release()
    (said,) = caplog.messages
    assert f"{tmp_path} has no file locks" in said and "as on object storage" in said


@pytest.mark.parametrize("no_locks", NO_LOCKS[:2], indirect=True)
@pytest.mark.usefixtures("no_locks")
def test_an_ingest_without_flock(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "00000.tar", make_samples(2))
    folder = tmp_path / "warehouse/dataset=d"
    folder.mkdir(parents=True)
    (folder / "ingest.lock").write_text("4711")
    assert ingest_paths(tmp_path, "webdataset", tar).written_count == 2


def test_a_failing_flock_is_no_missing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StorageError, match="Input/output error"):
        take_lock(Store(tmp_path), "b.lock")
