"""The prompt of ``neurons sql``: one open warehouse, any number of questions.

The connection is that of a single query: it reads the warehouse as it was when the prompt opened, and
changes nothing. Whatever goes wrong is told, and the prompt goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
from platformdirs import user_state_path
from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import SqlLexer

from pipeline.base.display import complain, say
from pipeline.base.errors import ConfigError, NeuronsError
from pipeline.base.warn import warn_once
from pipeline.cli.prompt_words import SqlCompleter
from pipeline.cli.query import answer
from pipeline.warehouse.connect import connect
from pipeline.warehouse.interrupts import lend_signals, watch_questions
from pipeline.warehouse.not_kept import tell_not_kept
from pipeline.warehouse.stale import STALE_VARIABLE, tell_stale, views_of_query, why_stale

HELP = (
    "Write SQL and end it with a semicolon; it may take several lines.",
    "  show tables;              the views            describe neuron_labels;   the columns of one",
    "  Tab                       completes            Up, Ctrl-R                earlier questions",
    "  Ctrl-C                    clears the line, or stops the question that runs",
    "  Ctrl-D, .exit             ends                 .help                     this",
    "The warehouse is shown as it was when the prompt opened: open it again to see what came since.",
)
_LEAVE = (".exit", ".quit", "exit", "quit")
_PROMPT, _MORE = "neurons> ", "    ...> "


def open_prompt(warehouse: str, form: str, out: Path | None, stale: str | None) -> None:
    """Ask for queries and answer them until Ctrl-D.

    Args:
        warehouse: Folder or URL.
        form: Of the answers: of `query.run_query`, but Parquet.
        out: Must be None: many answers do not fit in one file.
        stale: ``answer`` or ``stop`` where marts are older than the data; see `stale.tell_stale`.

    Raises:
        ConfigError: Answers cannot be shown here.
        WarehouseError: It cannot be opened.
    """
    if out is not None or form == "parquet" or not os.isatty(1):
        raise ConfigError(
            "There is no query, and a prompt answers on a terminal alone.",
            "Give the query: neurons sql 'from neuron_labels limit 5' --out FILE",
        )
    with connect(warehouse) as connection:
        say(f"{warehouse}: end a question with ;   .help explains, Ctrl-D ends.")
        must_stop = (stale or os.environ.get(STALE_VARIABLE, "answer")) == "stop"
        if not must_stop and (reason := why_stale(connection)):
            warn_once(
                f"{reason}: what rests on them is computed when it is asked for, which can take "
                "minutes. Build them: neurons build"
            )

        def reply(query: str) -> None:
            asked = views_of_query(connection, query)
            if must_stop:
                tell_stale(connection, asked, "stop")
            tell_not_kept(connection, asked)
            answer(connection, warehouse, query, form, None)

        converse(make_session(connection), reply)


def make_session(connection: duckdb.DuckDBPyConnection, **terminal: Any) -> PromptSession[str]:
    """The line editor.

    Args:
        connection: Whose views are completed.
        terminal: ``input`` and ``output``, if they are not the standard ones.
    """
    return PromptSession(
        _PROMPT,
        history=_open_history(),
        lexer=PygmentsLexer(SqlLexer),
        completer=SqlCompleter(connection),
        complete_while_typing=False,
        multiline=Condition(lambda: not is_whole(get_app().current_buffer.text)),
        prompt_continuation=_MORE,
        **terminal,
    )


def is_whole(text: str) -> bool:
    """Whether Enter ends it: nothing, a word to us, or SQL with a semicolon at its end.

    A semicolon inside quotes or a comment ends nothing.
    """
    text = text.strip()
    if not text or text.startswith(".") or text.lower() in (*_LEAVE, "help"):
        return True
    tokens = [(at, kind) for at, kind in duckdb.tokenize(text) if kind != duckdb.token_type.comment]
    if not tokens:
        return True  # a comment alone
    at, kind = tokens[-1]
    return kind == duckdb.token_type.operator and text.encode()[at:].lstrip().startswith(b";")


def converse(session: PromptSession[str], reply: Callable[[str], None]) -> None:
    """Read questions and have each answered, until the end of the input or a word that ends it.

    Args:
        session: Of `make_session`.
        reply: Answers one; its `NeuronsError` is told.
    """
    with watch_questions() as stopper:
        while (text := _read(session)).lower() not in _LEAVE:
            if text.lower() in (".help", "help"):
                say(*HELP)
            elif text.startswith("."):
                complain(f"There is no {text.split()[0]}. See .help")
            elif text.strip("; \n"):
                try:
                    with stopper.question():
                        reply(text)
                except (Exception, KeyboardInterrupt) as error:
                    if stopper.was_pressed:  # DuckDB may say so as a RuntimeError
                        complain("Interrupted.")
                    elif isinstance(error, NeuronsError):
                        complain(f"{type(error).__name__}: {error}")
                    else:
                        raise


def _read(session: PromptSession[str]) -> str:
    """What was asked; nothing for a line that was cleared."""
    try:
        with lend_signals():
            return session.prompt().strip()
    except KeyboardInterrupt:
        return ""
    except EOFError:
        return _LEAVE[0]


class _KeptHistory(FileHistory):
    """Questions of earlier days. A disk that is full costs the memory of a question, not the question."""

    def store_string(self, string: str) -> None:
        """Add one to the file."""
        with suppress(OSError):
            super().store_string(string)


def _open_history() -> History:
    """In the user's folder for such things; in memory where there is none to write to."""
    place = user_state_path("neurons", appauthor=False) / "sql-history"
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.touch(mode=0o600)
        place.read_bytes()
    except OSError as error:
        warn_once(f"Questions are not remembered: {place}: {error.strerror}.")
        return InMemoryHistory()
    return _KeptHistory(place)
