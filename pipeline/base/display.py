r"""What people see: text that comes from data is made safe to show, and all printing is done here.

A caption, a key or a file name may hold what a terminal obeys (ESC, C1, a carriage return), what turns a
line around (U+202E) or what nobody sees (zero-width characters). In everything that is meant for
people such a character is shown as an escape, ``\x1b`` or ``\u202e``; a backslash of the text itself stays as
it is. Zero-width joiner and non-joiner stay too: emoji and Persian and Indic scripts need them. Output
for machines (CSV, JSON, Parquet) is exact, see `shown_on_terminal` and `show_json`; but for a text
in CSV that a spreadsheet would calculate, see `csv_cells`.
"""

from __future__ import annotations

import functools
import io
import itertools
import json
import logging
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.base.secrets import hide_credentials

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_FLAGS = "\U0001f3f4\U000e0067\U000e0062(?:{})\U000e007f".format(
    "|".join("".join(chr(0xE0000 + ord(c)) for c in name) for name in ("eng", "sct", "wls"))
)
"""England, Scotland, Wales: the flags that are spelt with tags, which are invisible elsewhere."""

_PLANE_ENDS = "".join(chr(plane << 16 | low) for plane in range(1, 15) for low in (0xFFFE, 0xFFFF))

_UNSAFE = (
    r"\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    r"\xad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u3164\uffa0\ufeff"  # seen by nobody
    r"\u061c\u200e\u200f\u202a-\u202e\u2060-\u206f"  # turn text around, or format it unseen
    r"\u2028\u2029"  # ends of lines and paragraphs
    r"\ufdd0-\ufdef\ufff0-\ufffb\ufffe\uffff" + _PLANE_ENDS +  # no characters
    r"\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # formats of rare scripts
    r"\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff"  # halves of characters; private ones
    r"\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"  # tags and their kind
)  # fmt: skip

_FIND_UNSAFE = re.compile(f"({_FLAGS})|[{_UNSAFE}]")
_FIND_UNSAFE_IN_LINES = re.compile(f"({_FLAGS}|\n)|[{_UNSAFE}]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}

_FIND_MARKDOWN = re.compile(r"[\\`*\[\]<>|~&#!]|(?<![^\W_])_|_(?![^\W_])")

_TABLE_ROWS = 1000
_CELL_CHARACTERS = 120
_PIPE_COLUMNS = 240
"""Width of a table that goes into a file or a pipe."""


def show(value: object) -> str:
    """A value as one line of text in which nothing is obeyed or hidden."""
    return _FIND_UNSAFE.sub(_escape, str(value))


def show_lines(text: str) -> str:
    """Text of several lines: as `show`, but lines end, and none but the first begins at the margin.

    So a file name with a line end cannot pass for a message of ours. Messages and logs come this way:
    passwords and signatures of URLs are blotted out.
    """
    first, *rest = _FIND_UNSAFE_IN_LINES.sub(_escape, hide_credentials(text)).split("\n")
    if any(line and not line.startswith("  ") for line in rest):
        rest = [f"  {line}" if line else line for line in rest]
    return "\n".join([first, *rest])


def show_bytes(count: int) -> str:
    """A number of bytes for people, in powers of ten: ``1.5 GB``."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.95 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


def show_json(text: str) -> str:
    """JSON as it was, to a parser; to the eye, with escapes of JSON for what is unsafe."""
    return _FIND_UNSAFE_IN_LINES.sub(_escape_json, text)


def quote_markdown(value: object) -> str:
    """A value as literal text inside Markdown: in a sentence, a list or a cell of a table."""
    return _FIND_MARKDOWN.sub(r"\\\g<0>", show(value))


def _escape(match: re.Match[str]) -> str:
    if match[1]:
        return match[1]
    code = ord(match[0])
    if code < 0x100:
        return _SHORT.get(match[0], f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escape_json(match: re.Match[str]) -> str:
    if match[1]:
        return match[1]
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n] << 8 | units[n + 1]:04x}" for n in range(0, len(units), 2))


def say(*lines: object) -> None:
    """Print lines to standard output, each as `show` makes it."""
    sys.stdout.write("".join(f"{show(line)}\n" for line in lines))
    sys.stdout.flush()


def say_json(value: object) -> None:
    """Print a value as JSON, indented."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    sys.stdout.write(f"{show_json(text)}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print a message of one or several lines to standard error."""
    sys.stderr.write(f"{show_lines(text)}\n")
    sys.stderr.flush()


def print_table(
    names: Sequence[str],
    rows: Iterator[tuple[Any, ...]],
    file: Any = None,
    limit: int | None = _TABLE_ROWS,
) -> None:
    """Print rows as aligned columns, to standard output by default; the first thousand of them."""
    file = file or sys.stdout
    kept, count = _take(rows, limit)
    _console(file).print(_lay_out(names, kept))
    _say_more(count - len(kept), file)


def print_vertical(names: Sequence[str], rows: Iterator[tuple[Any, ...]], file: Any = None) -> None:
    """Print each row as a block of lines, ``column | value``, in full; the first thousand rows."""
    file = file or sys.stdout
    kept, count = _take(rows, _TABLE_ROWS)
    _write_blocks(names, kept, file)
    _say_more(count - len(kept), file)


def print_fitting(names: Sequence[str], rows: Iterator[tuple[Any, ...]], file: Any = None) -> None:
    """As `print_table`; as `print_vertical` on a terminal that is narrower than the table."""
    file = file or sys.stdout
    kept, count = _take(rows, _TABLE_ROWS)
    console, table = _console(file), _lay_out(names, kept)
    if kept and file.isatty() and _natural_width(console, table) > console.width:
        _write_blocks(names, kept, file)
    else:
        console.print(table)
    _say_more(count - len(kept), file)


def _take(rows: Iterator[tuple[Any, ...]], limit: int | None) -> tuple[list[tuple[Any, ...]], int]:
    """The first rows, and how many there are in all."""
    kept = list(itertools.islice(rows, limit))
    return kept, len(kept) + sum(1 for _ in rows)


def _console(file: Any) -> Console:
    from rich.console import Console

    return Console(file=file, width=None if file.isatty() else _PIPE_COLUMNS)


def _lay_out(names: Sequence[str], rows: list[tuple[Any, ...]]) -> Table:
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(*(Column(Text(show(name))) for name in names), box=None)
    for row in rows:
        table.add_row(*(Text(_cell(value, _CELL_CHARACTERS)) for value in row))
    return table


def _natural_width(console: Console, table: Table) -> int:
    """Columns of a terminal that a table needs so that nothing in it is folded."""
    from rich.measure import Measurement

    return Measurement.get(console, console.options.update(width=1_000_000), table).maximum


def _write_blocks(names: Sequence[str], rows: list[tuple[Any, ...]], file: Any) -> None:
    from rich.cells import cell_len

    shown = [show(name) for name in names]
    width = max(map(cell_len, shown), default=0)
    heads = [f"{name}{' ' * (width - cell_len(name))} | " for name in shown]
    for number, row in enumerate(rows, 1):
        file.write(f"{f'-[ row {number} ]-':-<{width + 3}}\n")
        file.write(
            "".join(f"{head}{_cell(value)}\n" for head, value in zip(heads, row, strict=True))
        )
    if not rows:
        file.write("no rows\n")


def _say_more(count: int, file: Any) -> None:
    if count:
        file.write(f"... {count} more rows; use --format csv for all\n")


def _cell(value: Any, most: int | None = None) -> str:
    """A value in one line; cut to a number of characters if it is given."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = "" if value is None else str(value)
    return show(text if most is None or len(text) <= most else f"{text[: most - 3]}...")


class _Shown(io.TextIOBase):
    """Writes to a terminal what `show_json`'s kin would: line ends as they are, all else escaped."""

    def __init__(self, terminal: Any) -> None:
        self._terminal = terminal

    def write(self, text: str) -> int:
        self._terminal.write(_FIND_UNSAFE_IN_LINES.sub(_escape, text))
        return len(text)

    def isatty(self) -> bool:
        return True


def shown_on_terminal(file: Any) -> Any:
    """The file itself, which gets every byte as it is; but a terminal gets escapes of what is unsafe."""
    return _Shown(file) if file.isatty() else file


class ShownFormatter(logging.Formatter):
    """Lines of a log, each as `show_lines` makes it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or the lines with a traceback."""
        return show_lines(super().format(record))


@functools.cache
def guard_terminal() -> None:
    """Once a process: what libraries log and warn of is shown as our own text is, and nothing that a
    terminal's encoding lacks is an error.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler()
    handler.setFormatter(ShownFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    plain = warnings.formatwarning

    def format_shown(*arguments: Any, **options: Any) -> str:
        return show_lines(plain(*arguments, **options).rstrip("\n")) + "\n"

    warnings.formatwarning = format_shown
