"""Nothing that data say is obeyed by a terminal or a page, or hidden from who reads it."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import unicodedata
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.display import (
    ShownFormatter,
    complain,
    guard_terminal,
    print_fitting,
    print_table,
    print_vertical,
    quote_markdown,
    say,
    show,
    show_json,
    show_lines,
    shown_on_terminal,
)
from pipeline.base.errors import ConfigError, ExampleError
from pipeline.base.progress import BarProgress, LogProgress

ROOT = Path(__file__).parents[2]
TEXTS = st.text(st.characters(categories=None), max_size=40)  # halves of characters too
VISIBLE_FORMATS = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
"""Signs of Arabic, Syriac and Kaithi that are drawn around digits: of category Cf, and visible."""
JOINERS = {0x200C, 0x200D}
HOSTILE = (
    "red \x1b[31m\x9b2J\x00\x7f\r back\b \u202egnp.exe\u2066 [bold]x[/] :smile: \ud800\u2028end"
)


def test_what_a_terminal_obeys_or_nobody_sees_is_escaped_and_all_else_stays():
    for code in range(0x110000):
        character = chr(code)
        category = unicodedata.category(character)
        if category in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
            kept = code in VISIBLE_FORMATS | JOINERS
            assert (show(character) == character) == kept, hex(code)
        elif category not in ("Cn", "Lo", "Mn"):  # some of these are as invisible
            assert show(character) == character, hex(code)


def test_escapes_are_those_of_python():
    assert show("a\x1b\n\t\x9b\u202e\U000e0041") == r"a\x1b\n\t\x9b\u202e\U000e0041"
    assert show("\u3164\u115f\u034f") == r"\u3164\u115f\u034f"


@pytest.mark.parametrize(
    "text",
    ["می‌خواهم", "क्‍ष", "👩‍🚀 ☠️", "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
     "שלום", "日本語 テキスト", "Zürich", r"C:\new\x1b", "1 000", "\U0001fae8"],
)  # fmt: skip
def test_text_of_people_stays_as_it_is(text):
    assert show(text) == text


@given(TEXTS)
def test_shown_text_can_be_shown_again_and_written(text):
    once = show(text)
    assert show(once) == once
    assert len(once.splitlines()) <= 1
    once.encode()


@given(TEXTS)
def test_only_the_first_line_begins_at_the_margin(text):
    first, *rest = show_lines(f"sure: {text}").split("\n")
    assert first.startswith("sure: ")
    assert all(not line or line.startswith("  ") for line in rest)


@given(st.dictionaries(st.text(), st.text()))
def test_json_means_the_same_and_shows_nothing_unsafe(value):
    text = show_json(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(text) == value
    assert "\n".join(map(show, text.split("\n"))) == text


def test_an_error_is_shown_safely_and_keeps_what_it_was_given():
    error = ConfigError("'\x1b[2J' is wrong.\nneurons: all is well", "Try \u202e.")
    assert str(error) == "'\\x1b[2J' is wrong.\n  neurons: all is well\n  Try \\u202e."
    assert error.message.startswith("'\x1b")
    assert ExampleError("bad_key", "\x07").detail == "\x07"


def test_tables_are_literal(capsys):
    print_table(("a[b]", "\x1b"), iter([(HOSTILE, None), (1.5, ":smile:")]))
    out = capsys.readouterr().out
    assert "a[b]" in out
    assert "[bold]x[/] :smile:" in out
    assert r"\x1b[31m\x9b2J\x00\x7f\r back\x08" in out
    assert "\n".join(map(show, out.split("\n"))) == out


def test_lines_and_complaints_are_literal(capsys):
    say(HOSTILE, "two")
    complain(HOSTILE)
    out, err = capsys.readouterr()
    assert out == f"{show(HOSTILE)}\ntwo\n"
    assert err == f"{show(HOSTILE)}\n"


def test_progress_is_literal(capsys, caplog):
    for progress in (BarProgress(), LogProgress()):
        with caplog.at_level(logging.INFO, "pipeline"):
            progress.start(f"a {HOSTILE}", 1)
            progress.advance(1, HOSTILE)
            progress.finish()
    shown = capsys.readouterr().err + "".join(record.getMessage() for record in caplog.records)
    assert "[bold]x[/]" in shown
    assert not re.search("[\x00\x07\x08\x7f\x9b\u202e\ud800]", shown)


def test_what_libraries_log_and_warn_of_is_shown_too():
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "%s", (HOSTILE,), None)
    assert ShownFormatter("%(message)s").format(record) == show(HOSTILE)
    before = warnings.formatwarning
    try:
        guard_terminal.__wrapped__()
        text = warnings.formatwarning(HOSTILE, UserWarning, "a.py", 1, "")
    finally:
        warnings.formatwarning = before
    assert show(HOSTILE) in text
    assert "\x1b" not in text


def test_what_a_machine_reads_is_exact_and_a_terminal_gets_escapes():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    pipe, terminal = io.StringIO(), Terminal()
    for file in (pipe, terminal):
        shown_on_terminal(file).write(f"a,{HOSTILE}\n")
    assert pipe.getvalue() == f"a,{HOSTILE}\n"
    assert terminal.getvalue() == f"a,{show(HOSTILE)}\n"


def test_markdown_is_literal():
    assert quote_markdown("a|b\nc") == r"a\|b\\nc"
    assert quote_markdown("<img src=x> [x](y) `c` **b** _i_") == (
        r"\<img src=x\> \[x\](y) \`c\` \*\*b\*\* \_i\_"
    )
    assert quote_markdown("visual.layer4_0.act3:input:max") == "visual.layer4_0.act3:input:max"


@pytest.mark.parametrize(
    "path", sorted([*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "flows").glob("*.py")]), ids=str
)
def test_all_printing_is_done_in_one_place(path):
    if path.name == "display.py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            call = ast.unparse(node.func)
            assert not re.fullmatch(r"print|(typer|click)\.s?echo|.*print_exc|pprint", call), call
            if call in ("sys.stdout.write", "sys.stderr.write"):
                own = ("concepts", "make", "make_world")
                is_ours = path.name == "views.py" or path.parent.name in own
                assert is_ours, "they print our own files"
        if isinstance(node, ast.ImportFrom) and node.module == "rich.console":
            assert path.name == "progress.py"


class Screen(io.StringIO):
    """A terminal without a process behind it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("columns", "is_wide_enough"), [(21, False), (22, True), (80, True)])
def test_a_table_that_does_not_fit_its_terminal_is_printed_as_blocks(
    columns, is_wide_enough, monkeypatch
):
    monkeypatch.setenv("COLUMNS", str(columns))
    screen = Screen()
    print_fitting(("name", "日本"), iter([("x" * 10, "\x1b[31m")]), screen)
    table = f" name        日本     \n {'x' * 10}  \\x1b[31m \n"
    blocks = f"-[ row 1 ]-\nname | {'x' * 10}\n日本 | \\x1b[31m\n"
    plain = re.sub(r"\x1b\[\d*m", "", screen.getvalue())  # the header is bold
    assert plain == (table if is_wide_enough else blocks)


def test_blocks_are_whole_and_say_what_they_leave_out():
    file = io.StringIO()
    print_vertical(("unit", "text"), ((n, "y" * 500) for n in range(1003)), file)
    lines = file.getvalue().splitlines()
    assert lines[:3] == ["-[ row 1 ]-", "unit | 0", f"text | {'y' * 500}"]
    assert lines[-1] == "... 3 more rows; use --format csv for all"
    assert len(lines) == 3001
    file = io.StringIO()
    print_vertical(("unit",), iter(()), file)
    assert file.getvalue() == "no rows\n"
