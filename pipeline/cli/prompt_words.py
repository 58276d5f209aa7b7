"""What Tab offers at the prompt: views, their columns, and words of SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import duckdb
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from pipeline.base.display import show

_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_ENDS_IN_NAME = re.compile(r"(?:([A-Za-z_][A-Za-z_0-9]*)\.)?([A-Za-z_][A-Za-z_0-9]*)?$")
_BEFORE_VIEW = re.compile(r"\b(?:from|join|describe|summarize|table)\s+$", re.IGNORECASE)
_WORDS = (
    "and", "as", "asc", "between", "by", "case", "count", "cross", "desc", "describe", "distinct",
    "else", "end", "except", "exists", "filter", "from", "full", "group", "having", "ilike", "in",
    "inner", "intersect", "is", "join", "last", "lateral", "left", "like", "limit", "not", "null",
    "nulls", "offset", "on", "or", "order", "outer", "over", "partition", "qualify", "right", "sample",
    "select", "show", "summarize", "tables", "then", "union", "unnest", "using", "values", "when",
    "where", "window", "with",
)  # fmt: skip
"""Those that questions are made of, as SQL knows many more."""
_MEANING_CHARACTERS = 60


class SqlCompleter(Completer):
    """Offers a column of the views that the question names before a view, and both before a word.

    Args:
        connection: Its views and tables are offered, with their comments.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """What begins as the name before the cursor does, whatever its case."""
        match = _ENDS_IN_NAME.search(document.text_before_cursor)
        owner, begun = (match[1], match[2] or "") if match else (None, "")
        before = document.text_before_cursor[: len(document.text_before_cursor) - len(begun)]
        offered: dict[str, str] = {}
        for name, meaning in self._offer(before, owner, document.text):
            if name.lower().startswith(begun.lower()):
                offered.setdefault(name, meaning)
        for name, meaning in offered.items():
            yield Completion(name, -len(begun), display_meta=show(meaning)[:_MEANING_CHARACTERS])

    def _offer(self, before: str, owner: str | None, text: str) -> Iterator[tuple[str, str]]:
        words = [word.lower() for word in _NAME.findall(text)]
        if owner is not None:
            views = self._aliased(owner.lower(), text) & self._views().keys() or set(words)
            yield from self._columns(views)
            return
        if not _BEFORE_VIEW.search(before):
            yield from self._columns(words)
        yield from self._views().items()
        yield from ((word, "") for word in _WORDS)

    @staticmethod
    def _aliased(owner: str, text: str) -> set[str]:
        """The view that a name stands for: itself, or what it is another name of."""
        found = re.findall(rf"(\w+)\s+(?:as\s+)?{re.escape(owner)}\b", text, re.IGNORECASE)
        return {owner, *(name.lower() for name in found)}

    def _views(self) -> dict[str, str]:
        rows = self._ask(
            """
            select view_name, coalesce(comment, '') from duckdb_views() where not internal
            union
            select table_name, coalesce(comment, '') from duckdb_tables()
            order by all
            """
        )
        return {name: meaning for name, meaning in rows if _NAME.fullmatch(name)}

    def _columns(self, views: Iterable[str]) -> list[tuple[str, str]]:
        rows = self._ask(
            """
            select column_name, coalesce(comment, '')
            from duckdb_columns()
            where not internal and list_contains($views::varchar[], lower(table_name))
            order by list_position($views::varchar[], lower(table_name)), column_index
            """,
            {"views": list(dict.fromkeys(views))},
        )
        return [(name, meaning) for name, meaning in rows if _NAME.fullmatch(name)]

    def _ask(self, query: str, values: dict[str, list[str]] | None = None) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(query, values or {}).fetchall()
        except duckdb.Error:  # a transaction that must be rolled back first: nothing to offer
            return []
