"""Ctrl-C while DuckDB works: the first ends the command with 130 and says how to go on."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from pressing import press_when_it_begins
from waiting import LIMIT_S

pytestmark = pytest.mark.slow

ENDLESS = "select sum(a.range * b.range) from range(10_000_000) as a, range(10_000_000) as b"
SCANS = "select count(*) from activations a, activations b, activations c where a.unit < b.unit"

# The command line itself; it presses Ctrl-C as soon as the warehouse is open.
PRESSING = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
import pipeline.cli.query

opened = pipeline.cli.query.connect

def connect(*arguments, **options):
    connection = opened(*arguments, **options)
    for seconds in PRESSES:
        timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
        timer.daemon = True
        timer.start()
    return connection

pipeline.cli.query.connect = connect
from pipeline.cli.app import main
sys.argv = ["neurons", *sys.argv[1:]]
main()
"""


def press(presses, *arguments):
    """Run a command that interrupts itself."""
    code = PRESSING.replace("PRESSES", repr(presses))
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


@pytest.mark.parametrize("query", [ENDLESS, SCANS])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_first_ctrl_c_stops_a_query(tiny_warehouse, tmp_path, query, form):
    out = tmp_path / "out"
    run = press([0.5], "sql", "--warehouse", tiny_warehouse, query, "--format", form, "--out", out)
    assert run.returncode == 130, run.stderr
    assert run.stderr == ("Interrupted. Finished shards are kept: run the same command again.\n")


def test_the_second_ctrl_c_ends_at_once():
    code = """
import os, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from pipeline.warehouse.interrupts import watch_interrupts
with watch_interrupts():
    for _ in range(2):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
        except KeyboardInterrupt:
            pass  # as what cannot stop
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert (run.returncode, run.stderr) == (130, "Ended at once.\n")


@pytest.mark.parametrize("command", ["build", "check", "compact"])
def test_long_commands_stop_in_order(tiny_warehouse, tmp_path, command):
    place = tmp_path / "warehouse"
    shutil.copytree(tiny_warehouse, place)
    shutil.rmtree(place / "marts")
    run = press_when_it_begins(command, "--warehouse", place)
    assert run.returncode == 130, run.stderr
    assert "Traceback" not in run.stderr
    assert "run the same command again" in run.stderr
    assert not list(place.rglob(".spill/*"))


@pytest.mark.parametrize("late", ["typer", "pipeline.cli.report"])
def test_ctrl_c_while_the_command_is_still_being_imported(late):
    code = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Presses:
    def find_spec(self, name, *_):
        if name == {late!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Presses())
from pipeline.cli.entry import main
sys.argv = ["neurons", "report", "--help"]
main()
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert (run.returncode, run.stdout) == (130, "")
    assert run.stderr == "Interrupted before anything began.\n"
