"""A disk that fills up, a warehouse that cannot be written, locks that are not there."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
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
from watching import SHARD_COUNT, read_views

from pipeline.base.errors import StorageError
from pipeline.base.progress import NoProgress
from pipeline.extract.run import extract

pytestmark = pytest.mark.slow


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
    mount: Callable[..., Path], many_shards: Path, unbroken: dict[str, bytes]
) -> None:
    used = [file.stat().st_size for file in (many_shards / "warehouse").rglob("*.*")]
    pages = sum(
        -(-size // 4096) for size in [*used, *(len(data) // 2 for data in unbroken.values())]
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
    assert run_bytes(place) == unbroken


def test_without_file_locks_nothing_waits(
    fresh: Path, unbroken: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on object storage: locks that the dead left hold nobody up, others' files stay.

    Files have names of this attempt, so that two who do the same shard write none of the same name.
    """

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
    written = {
        re.sub(r"-[0-9a-f]{8}(?=\.parquet$)", "", path): data
        for path, data in run_bytes(fresh).items()
    }
    assert written == unbroken and not set(run_bytes(fresh)) & set(unbroken)
    assert others.exists()


class SlowWriter(NoProgress):
    """Holds up the writer's thread, so that the shard's last batches wait behind the one that fails."""

    def advance(self, count: int, note: str = "") -> None:
        time.sleep(0.02)


def test_full_disk_in_the_middle_of_a_shard(mount: Callable[..., Path], tmp_path: Path) -> None:
    """A part that could not be written is never missing from a shard that is done."""
    ingest_shards(tmp_path, [make_pictures(144)])
    layers = tuple(
        f"visual.layer{n}.0{point}:{pool}"
        for n in range(1, 5)
        for point in (".act3:input", ":output")
        for pool in ("max", "mean")
    )
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
