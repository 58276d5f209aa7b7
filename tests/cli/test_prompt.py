"""The prompt of ``neurons sql``: on a real terminal, and its editor with keys sent through a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from waiting import LIMIT_S

from pipeline.base.errors import WarehouseError
from pipeline.cli.prompt import converse, is_whole, make_session
from pipeline.cli.prompt_words import SqlCompleter
from pipeline.warehouse.connect import connect

NEURONS = [sys.executable, "-m", "pipeline.cli"]
ENDLESS = "select sum(a.range * b.range) from range(10_000_000) as a, range(10_000_000) as b;"
CTRL_C, CTRL_D = "\x03", "\x04"
_CONTROL = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[=>])")


def _own_terminal() -> None:
    """In the new process: the terminal is its own, and it hears Ctrl-C even where pytest is told not to."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A process on a terminal of its own."""

    def __init__(self, *arguments: object, columns: int = 100, **environment: str) -> None:
        self.screen, worker = pty.openpty()
        fcntl.ioctl(worker, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        known = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [*NEURONS, *map(str, arguments)],
            stdin=worker, stdout=worker, stderr=worker, start_new_session=True,
            preexec_fn=_own_terminal,
            env={**known, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", **environment},
        )  # fmt: skip
        os.close(worker)
        self.text = ""

    def expect(self, wanted: str) -> str:
        """Read until a text is shown; what was shown up to it."""
        end = time.monotonic() + LIMIT_S
        while not self.shows(wanted, 1):
            assert time.monotonic() < end, f"no {wanted!r} in {self.text!r}"
        shown, self.text = self.text.split(wanted, 1)
        return shown

    def shows(self, wanted: str, seconds: float) -> bool:
        """Whether a text is shown, after reading what comes within so many seconds."""
        if wanted not in self.text and select.select([self.screen], [], [], seconds)[0]:
            try:
                data = os.read(self.screen, 65536).decode(errors="replace")
            except OSError:
                data = ""
            assert data, f"ended without {wanted!r}: {self.text!r}"
            self.text = _CONTROL.sub("", self.text + data)
        return wanted in self.text

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.screen, keys.encode())

    def ask(self, query: str) -> None:
        """Wait for the prompt, then send a line."""
        self.expect("neurons>")
        self.type(f"{query}\r")

    def close(self) -> int:
        """The exit status."""
        try:
            return self.process.wait(timeout=LIMIT_S)
        finally:
            self.process.kill()
            os.close(self.screen)


@pytest.mark.slow
def test_ten_questions_cost_one_start(tiny_warehouse, tmp_path):
    shell = Terminal("sql", "--warehouse", tiny_warehouse, XDG_STATE_HOME=str(tmp_path))
    shell.ask("select count(*) > 0 as is_full\rfrom examples;")
    assert "...>" in shell.expect(" True ")
    shell.ask("select nothing from examples;")
    shell.expect("WarehouseError: The query does not work")
    shell.ask("copy (select 1) to 'x.csv';")
    shell.expect("reaches beyond the warehouse")
    shell.ask("select chr(27) || '[31mred' as hostile;")
    shell.expect(r"\x1b[31mred")
    shell.ask("select 7 as unit, repeat('x', 60) as text, repeat('y', 60) as more;")
    shell.expect(f"-[ row 1 ]-\r\nunit | 7\r\ntext | {'x' * 60}\r\nmore | {'y' * 60}")
    shell.ask(ENDLESS)
    end = time.monotonic() + LIMIT_S
    while not shell.shows("Interrupted.", 0.4):  # as an impatient hand does
        shell.process.send_signal(signal.SIGINT)
        assert time.monotonic() < end
    for _ in range(3):  # one that has not looked up yet
        shell.process.send_signal(signal.SIGINT)
    shell.expect("Interrupted.")
    shell.ask(f"select 1 as cle{CTRL_C}")
    shell.expect("neurons>")
    shell.type("select unit from neuron_lab\t")
    shell.expect("neuron_labels")
    shell.type(f" limit 0;{CTRL_C}")
    shell.ask(".help")
    shell.expect("Ctrl-D")
    shell.ask(".huh")
    shell.expect("There is no .huh")
    shell.ask("select 40 + 2 as answer;")
    shell.expect(" 42 ")
    shell.expect("neurons>")
    shell.type(CTRL_D)
    assert shell.close() == 0
    kept = (tmp_path / "neurons" / "sql-history").read_text()
    assert "+select count(*) > 0 as is_full\n+from examples;" in kept


@pytest.mark.slow
def test_stale_marts_are_told_once(tiny_warehouse, tmp_path):
    place = tmp_path / "unbuilt"
    shutil.copytree(tiny_warehouse, place, ignore=shutil.ignore_patterns("marts"))
    shell = Terminal("sql", "--warehouse", place, XDG_STATE_HOME=str(tmp_path))
    assert shell.expect("neurons>").count("No marts are built") == 1
    shell.type("select count(*) >= 0 as is_told from neuron_stats;\r")
    assert "marts" not in shell.expect(" True ")
    shell.ask(".exit")
    assert shell.close() == 0


@pytest.mark.slow
def test_a_prompt_answers_on_a_terminal_alone(tiny_warehouse, tmp_path):
    shell = Terminal("sql", "--warehouse", tiny_warehouse, "--out", tmp_path / "x.csv")
    shell.expect("There is no query, and a prompt answers on a terminal alone")
    assert shell.close() == 2


@pytest.mark.slow
def test_what_another_program_sends_is_a_query(tiny_warehouse):
    def send(text: str, code: int) -> subprocess.CompletedProcess[str]:
        command = [*NEURONS, "sql", "--warehouse", str(tiny_warehouse), "--format", "csv"]
        run = subprocess.run(command, input=text, capture_output=True, text=True, timeout=LIMIT_S)
        assert run.returncode == code, run.stderr
        return run

    assert send("select count(*) > 0 as n\nfrom examples;\n", 0).stdout == "n\nTrue\n"
    assert "The query is empty" in send("", 2).stderr


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", True), ("   ", True), (".help", True), ("exit", True), ("QUIT", True),
        ("select 1", False), ("select 1;", True), ("select 1; -- all", True),
        ("select 1 -- not yet;", False), ("select ';", False), ("select ';'", False),
        ("select ';';", True), ('select "a;', False), ("select $$;", False), ("select $$;$$;", True),
        ("select /* ;", False), ("select 'é';\n", True), ("select 1; select 2", False),
        ("-- a comment", True), ("select 'a\x00", False),
    ],
)  # fmt: skip
def test_a_question_ends_with_its_semicolon(text, whole):
    assert is_whole(text) == whole


@pytest.fixture(scope="module")
def connection(tiny_warehouse):
    with connect(tiny_warehouse) as opened:
        opened.execute("create temp table mine as select 1 as my_column")
        yield opened


def offered(connection, text: str) -> list[str]:
    document = Document(text.replace("|", ""), text.index("|"))
    found = SqlCompleter(connection).get_completions(document, CompleteEvent())
    return [one.text for one in found]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("select cou|", ["count"]),
        ("from neuron_lab|", ["neuron_labels"]),
        ("FROM Neuron_Lab|", ["neuron_labels"]),
        ("describe examples|", ["examples"]),
        ("select mim| from examples", ["mime_type"]),
        ("select x.mim| from examples as x", ["mime_type"]),
        ("select x.mim| from examples x", ["mime_type"]),
        ("select examples.mim| from examples inner join shards using (dataset)", ["mime_type"]),
        ("select my_| from mine", ["my_column"]),
        ("from mi|", ["mine"]),
        ("from settings orde|", ["order"]),
        ("select nothing_begins_so|", []),
    ],
)
def test_views_columns_and_words_are_completed(connection, text, first):
    assert offered(connection, text)[: max(1, len(first))] == first


def test_after_from_only_views_and_words(connection):
    assert "mime_type" not in offered(connection, "select mime_type from examples join |")


def test_every_view_is_offered(connection):
    query = "select view_name from duckdb_views() where not internal"
    views = {name for (name,) in connection.execute(query).fetchall()}
    assert views <= set(offered(connection, "from |"))


def test_the_editor_completes_remembers_and_goes_on(connection, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    asked: list[str] = []

    def reply(query: str) -> None:
        asked.append(query)
        if "fail" in query:
            raise WarehouseError("It \x1bfails.", "Mend it.")

    def talk(keys: str) -> None:
        with create_pipe_input() as keyboard:
            keyboard.send_text(keys)
            converse(make_session(connection, input=keyboard, output=DummyOutput()), reply)

    talk(f"from neuron_labels;\rfail;\r;\r{CTRL_C}.help\r{CTRL_D}")
    assert asked == ["from neuron_labels;", "fail;"]
    out, err = capsys.readouterr()
    assert "Tab" in out
    assert err == "WarehouseError: It \\x1bfails.\n  Mend it.\n"
    talk("\x10\x10\x10\x10\rquit\r")  # up, past .help, ; and fail
    assert asked[-1] == "from neuron_labels;"


def test_a_folder_that_cannot_be_written_costs_the_memory_alone(connection, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    asked: list[str] = []
    with create_pipe_input() as keyboard:
        keyboard.send_text(f"select 1;\r{CTRL_D}")
        converse(make_session(connection, input=keyboard, output=DummyOutput()), asked.append)
    assert asked == ["select 1;"]
