"""What a user names to be written is the old or the whole new one, whatever goes wrong on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

from pipeline.base.errors import StorageError
from pipeline.base.outputs import new_file, new_folder
from pipeline.report.contact_sheet import save_sheet
from pipeline.report.write import _write_page

QUERY = "select range as a, if(range < 150000, 1, error('late')) as b from range(200000)"


def left(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))


@pytest.mark.parametrize("form", ["table", "csv", "json", "parquet"])
@pytest.mark.slow
def test_a_query_that_fails_on_its_way_leaves_the_old_file(tiny_warehouse, tmp_path, told, form):
    out = tmp_path / f"out.{form}"
    query = ("sql", QUERY, "--warehouse", tiny_warehouse, "--format", form, "--out", out)
    assert "late" in told(*query, code=2)
    assert left(tmp_path) == []
    out.write_text("before")
    assert "late" in told(*query, code=2)
    assert left(tmp_path) == [out.name] and out.read_text() == "before"


def test_what_cannot_be_written_leaves_the_old_file(tmp_path, monkeypatch):
    """Pages, pictures and sheets alike: the disk is full when all but the end is written."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    writers = (
        lambda out: _write_page("<html>", out),
        lambda out: save_sheet(Image.new("RGB", (9, 9)), out),
    )
    for number, write in enumerate(writers):
        out = tmp_path / str(number) / "out"
        with pytest.raises(StorageError, match="disk is full"):
            write(out)
        assert left(out.parent) == []
        out.write_text("before")
        with pytest.raises(StorageError, match="disk is full"):
            write(out)
        assert left(out.parent) == ["out"] and out.read_text() == "before"


@pytest.mark.slow
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    """And what a living one writes, or a person has called alike, is not."""
    code = (
        "import os, sys, signal; from pathlib import Path; from pipeline.base.outputs import *\n"
        "with new_file(Path(sys.argv[1])) as file, new_folder(Path(sys.argv[2]), 'z') as folder:\n"
        "    file.write_text('half'); (folder / 'a').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    out, sheet = tmp_path / "out [1].csv", tmp_path / "sheet"
    killed = subprocess.run([sys.executable, "-c", code, out, sheet])
    assert killed.returncode == -signal.SIGKILL
    assert len(left(tmp_path)) == 3
    mine = tmp_path / "out [1].csv.tmp-mine"
    mine.write_text("mine")
    with new_file(out) as first, new_file(out) as second:
        first.write_text("first")
        second.write_text("second")
    assert out.read_text() == "first"
    with new_folder(sheet, "z") as folder:
        (folder / "z").write_text("whole")
    assert left(tmp_path) == [out.name, mine.name, "sheet", "sheet/z"]


def test_a_folder_is_whole_where_its_last_file_is(tmp_path):
    out = tmp_path / "sheet"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(RuntimeError), new_folder(out, "a") as folder:
        (folder / "b").write_text("half")
        raise RuntimeError
    assert left(tmp_path) == ["sheet", "sheet/notes.txt"]
    (out / "c").mkdir()
    (out / "c/d").mkdir()  # in the way
    with pytest.raises(StorageError), new_folder(out, "a") as folder:
        (folder / "a").write_text("last")
        (folder / "c").mkdir()
        (folder / "c/d").write_text("first")
    assert not (out / "a").exists() and left(tmp_path)[0] == "sheet"
    (out / "c/d").rmdir()
    with new_folder(out, "a") as folder:
        (folder / "a").write_text("last")
        (folder / "c").mkdir()
        (folder / "c/d").write_text("first")
    assert left(out) == ["a", "c", "c/d", "notes.txt"]


def test_links_modes_folders_and_pipes(tmp_path):
    """As they are with an ordinary write."""
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there/real", tmp_path / "link"
    real.write_text("before")
    real.chmod(0o640)
    link.symlink_to(real)
    with new_file(link) as file:
        file.write_text("after")
    assert link.is_symlink() and real.read_text() == "after"
    assert real.stat().st_mode & 0o777 == 0o640
    with pytest.raises(StorageError, match="Is a directory"), new_file(tmp_path / "there"):
        pass
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    with new_file(pipe) as file:
        file.write_text("through")
    reader.join(10)
    assert got == ["through"] and pipe.is_fifo()
    code = (
        "import sys; from pathlib import Path; from pipeline.base.outputs import new_file\n"
        "with new_file(Path(sys.argv[1])) as file: file.write_text('x')"
    )
    with real.open("w") as file:
        subprocess.run([sys.executable, "-c", code, "/dev/stdout"], stdout=file, check=True)
    assert real.read_text() == "x"
