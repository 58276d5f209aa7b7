"""The command line. Every command is a few lines: it reads arguments and calls the pipeline.

Exit status: 0 done; 1 checks found violations; 2 a usage or input error, told without a traceback;
3 a bug of ours, with one; 130 interrupted.
Heavy imports (torch, DuckDB) are inside the commands, so that ``neurons --help`` is quick.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING

from pipeline.base.display import complain, guard_terminal
from pipeline.base.errors import ConfigError
from pipeline.base.open_files import raise_open_file_limit
from pipeline.cli.commands import make_app
from pipeline.cli.explain import explain
from pipeline.warehouse.interrupts import STATUS as INTERRUPTED
from pipeline.warehouse.interrupts import watch_interrupts

if TYPE_CHECKING:
    import typer

    app: typer.Typer
    """All commands."""

_HOW_TO_GO_ON = "Interrupted. Finished shards are kept: run the same command again."


def _run_app(made: typer.Typer | None) -> int:
    for argument in sys.argv[1:]:
        if not argument.isascii() and any("\ud800" <= c <= "\udfff" for c in argument):
            raise ConfigError(
                f"The argument {argument!r} is not UTF-8.",
                "Rename the file or folder that it names.",
            )
    try:
        return (made or make_app(*sys.argv[1:2]))(standalone_mode=False) or 0
    except SystemExit as stop:
        if not isinstance(stop.__context__, OSError):
            raise
        # So typer ends when the reader of our output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing left to flush to
        return 0


def main(made: typer.Typer | None = None) -> None:
    """Run the command line and turn our errors into messages.

    Args:
        made: The commands, if they are made.
    """
    guard_terminal()
    raise_open_file_limit()
    with watch_interrupts():
        try:
            status = _run_app(made)
        except BaseException as error:
            status = explain(error)
    if status == INTERRUPTED:
        complain(_HOW_TO_GO_ON)
    sys.exit(status)


def __getattr__(name: str) -> typer.Typer:
    if name == "app":
        return _make_all()
    raise AttributeError(name)


@cache
def _make_all() -> typer.Typer:
    return make_app()
