"""What queries cannot hold in memory: where it goes, how much, and who removes what a dead process left."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from pipeline.base.errors import ConfigError
from pipeline.base.storage import Store
from pipeline.warehouse.duck import open_duckdb
from pipeline.warehouse.spill import hold_root, max_spill, parse_size, release_root, spill_folder

SPILLING = """
import os, signal, sys
from pipeline.upkeep.check import check
from pipeline.warehouse.duck import open_duckdb
from pipeline.base.storage import Store
con = open_duckdb(Store(sys.argv[1]), "60MB")
con.execute("create temp table big as select range i, md5(range::varchar) s from range(1500000)")
folder = con.execute("select current_setting('temp_directory')").fetchall()[0][0]
print(folder, len(os.listdir(folder)), flush=True)
if sys.argv[2] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
sys.stdin.read()
"""


def spill(place, how, cwd):
    """A process that spills, and is then killed or waits."""
    return subprocess.Popen(
        [sys.executable, "-c", SPILLING, str(place), how],
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


@pytest.mark.slow
def test_what_a_killed_process_spilled_the_next_command_removes(tmp_path):
    place, elsewhere = tmp_path / "warehouse", tmp_path / "here"
    place.mkdir()
    elsewhere.mkdir()
    foreign = place / ".spill-00000000-7-1"  # of another machine or an earlier boot
    foreign.mkdir()
    (foreign / "duckdb_temp_7_0_storage_DEFAULT-0.tmp").write_bytes(b"x")
    with spill(place, "live", elsewhere) as living, spill(place, "die", elsewhere) as killed:
        assert killed.stdout is not None
        assert living.stdout is not None
        folder, count = killed.stdout.readline().split()
        assert Path(folder).parent == place
        assert int(count) > 1
        assert killed.wait() == -signal.SIGKILL
        lives = Path(living.stdout.readline().split()[0])
        assert Path(folder).is_dir()
        open_duckdb(Store(place)).close()
        assert not Path(folder).exists()
        assert list(lives.iterdir()), "the living one's files stay"
        living.communicate("")
    assert list(place.iterdir()) == []
    assert list(elsewhere.iterdir()) == []


@pytest.mark.slow
def test_what_other_machines_spilled_is_removed_by_who_is_alone(tmp_path):
    foreign = tmp_path / ".spill-00000000-7-1"
    with spill(tmp_path, "live", tmp_path) as living:
        assert living.stdout is not None
        living.stdout.readline()
        foreign.mkdir()  # now there are two that might have made it
        assert hold_root(tmp_path) == 0
        assert foreign.is_dir()
        living.communicate("")
    code = (
        "import sys; from pathlib import Path; from pipeline.warehouse.spill import hold_root; "
        "print(hold_root(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, tmp_path]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout == "0\n", "this process still takes part"
    assert foreign.is_dir()
    release_root(tmp_path)
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout == "1\n"
    assert not foreign.exists()


def test_a_connection_that_goes_while_another_comes_leaves_it_the_root(tmp_path, monkeypatch):
    """The last one may be collected at any moment, also while the next takes its place."""
    hold_root(tmp_path)

    def clear(root, is_alone):
        release_root(root)
        return 0

    monkeypatch.setattr("pipeline.warehouse.spill._clear_spills", clear)
    hold_root(tmp_path)
    handle = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    release_root(tmp_path)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(handle)


def test_the_bound_is_kept_and_can_be_set(tmp_path, monkeypatch):
    monkeypatch.setenv("NEURONS_MAX_SPILL", "3MB")
    query = "create temp table big as select range i, md5(range::varchar) s from range(1500000)"
    full = pytest.raises(duckdb.OutOfMemoryException, match="failed to offload")
    with open_duckdb(Store(tmp_path), "60MB") as connection, full:
        connection.execute(query)
    monkeypatch.setenv("NEURONS_MAX_SPILL", "1GB")
    with open_duckdb(Store(tmp_path), "60MB") as connection:
        connection.execute(query)
    assert not list(tmp_path.rglob("duckdb_temp*"))


def test_sizes_of_the_bound(tmp_path, monkeypatch):
    assert [parse_size(t) for t in ("200GB", "1.5 TiB", "500", "3m")] == [
        200 * 10**9, 1_649_267_441_664, 500, 3_000_000,
    ]  # fmt: skip
    for wrong in ("much", "-3GB", "3 PB", ""):
        with pytest.raises(ConfigError, match="is not a size"):
            parse_size(wrong)
    monkeypatch.setenv("NEURONS_MAX_SPILL", "lots")
    with pytest.raises(ConfigError, match="NEURONS_MAX_SPILL"):
        max_spill(tmp_path)
    monkeypatch.delenv("NEURONS_MAX_SPILL")
    assert 0 < max_spill(tmp_path / "not" / "yet") <= 64 * 10**9


def test_a_remote_warehouse_spills_into_a_private_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = spill_folder(Store("memory://somewhere")).parent
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o077 == 0
    assert hold_root(folder) == 0
    release_root(folder)
    folder.rmdir()
    folder.symlink_to(tmp_path / "trap")  # someone else's trick: not followed
    assert spill_folder(None).parent != folder
