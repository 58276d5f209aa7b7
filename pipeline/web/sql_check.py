"""What a stranger's query may be: one question about the views, as DuckDB's own parser reads it.

The connection cannot write, attach, install or set options (`pipeline.warehouse.duck.restrict`). What is
refused here is what it would still allow: reading the warehouse's files past the views, running text as SQL,
asking for settings and secrets, and whatever changes the connection for the next query.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import duckdb

from pipeline.base.errors import ConfigError

MAX_CHARS = 20_000
"""Longest query: parsers are deep, addresses are not long."""

TABLE_FUNCTIONS = frozenset(
    ("range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree",
     "histogram", "histogram_values")
)  # fmt: skip
"""Functions that stand behind ``from`` and only make rows of what they are given."""

SYSTEM_RELATIONS = frozenset(("duckdb_columns", "duckdb_tables", "duckdb_types", "duckdb_views"))
"""Of DuckDB's own; besides these all of ``information_schema``."""

_REFUSED = frozenset(
    ("getenv", "current_setting", "getvariable", "json_deserialize_sql", "json_serialize_plan",
     "pg_sleep", "pg_conf_load_time")
)  # fmt: skip
_HARMLESS = frozenset(
    ("error", "gen_random_uuid", "random", "stats", "uuid", "uuidv4", "uuidv7", "vector_type")
)
"""Of the functions that are not the same every time: they touch nothing but what they return."""

_ONLY = (
    "One statement is answered, of these: SELECT, WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW TABLES, "
    "EXPLAIN of one of them. For all else: neurons sql, or pipeline.connect in Python."
)


@dataclass(frozen=True)
class Checked:
    """A query that may run."""

    sql: str
    place: Mapping[str, str]
    """``dataset``, ``run_id`` and ``layer`` where the query compares them with a constant."""


class SqlCheck:
    """What passes on a connection; its relations and functions are looked up once."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Args:
        connection: Restricted, with the views of a warehouse.
        """
        self._connection = connection

    @cached_property
    def _relations(self) -> frozenset[str]:
        rows = self._connection.execute(
            """
            select lower(table_name) from duckdb_tables() where not internal
            union
            select lower(view_name) from duckdb_views()
            where not internal or schema_name = 'information_schema'
            """
        ).fetchall()
        return SYSTEM_RELATIONS | {name for (name,) in rows}

    @cached_property
    def _system(self) -> frozenset[str]:
        """Relations of DuckDB's own that are not shown."""
        rows = self._connection.execute(
            "select lower(view_name) from duckdb_views() where internal"
        ).fetchall()
        return frozenset(name for (name,) in rows) - self._relations

    @cached_property
    def _functions(self) -> frozenset[str]:
        """Functions that are refused wherever they stand."""
        rows = self._connection.execute(
            """
            select lower(function_name)
            from duckdb_functions()
            group by all
            having
                bool_and(function_type in ('table', 'table_macro', 'pragma'))
                or bool_or(coalesce(stability = 'VOLATILE' or has_side_effects, false))
            """
        ).fetchall()
        return _REFUSED | {name for (name,) in rows} - TABLE_FUNCTIONS - _HARMLESS

    def check(self, query: str) -> Checked:
        """A query that may run.

        Raises:
            ConfigError: It is not one question about the views.
            duckdb.Error: It is no SQL.
        """
        if len(query) > MAX_CHARS:
            raise ConfigError(
                f"The query has {len(query):,} characters.", f"At most {MAX_CHARS:,} are read."
            )
        statements = duckdb.extract_statements(query)
        if len(statements) != 1:
            raise ConfigError(f"There are {len(statements)} statements.", _ONLY)
        (statement,) = statements
        if statement.type == duckdb.StatementType.EXPLAIN:
            prefix, inner = _part_explain(query)
            return Checked(prefix + inner, self._check_select(inner))
        if statement.type != duckdb.StatementType.SELECT:
            raise ConfigError(f"The statement is a {statement.type.name}.", _ONLY)
        return Checked(query, self._check_select(query))

    def _check_select(self, query: str) -> dict[str, str]:
        """What `Checked.place` says of a query that passes."""
        statements = duckdb.extract_statements(query)
        if [each.type for each in statements] != [duckdb.StatementType.SELECT]:
            raise ConfigError("What is to be explained is no question.", _ONLY)
        ((text,),) = self._connection.execute(
            "select json_serialize_sql($query::varchar)", {"query": query}
        ).fetchall()
        parsed = json.loads(text)
        if parsed["error"]:
            raise ConfigError(f"The query is not understood: {parsed['error_message']}.", _ONLY)
        nodes = list(_walk(parsed))
        for node in nodes:
            self._check_node(node)
        return dict(found for node in nodes for found in _read_place(node))

    def _check_node(self, node: Mapping[str, Any]) -> None:
        table = str(node.get("table_name") or "").strip('"').lower()
        if table in self._system:
            raise ConfigError(f"The relation {table!r} is about this server.", _ONLY)
        # Also where a CTE is called so: it may stand elsewhere, and the name mean a file here.
        if table and table not in self._relations and not table.isidentifier():
            raise ConfigError(
                f"{table!r} is no view.",
                "Files are not read here: ask the views of the dictionary.",
            )
        function = str(node.get("function_name") or "").lower()
        if function in self._functions:
            raise ConfigError(
                f"The function {function!r} is not answered here.",
                "It reads files or settings, runs text, or changes the connection.",
            )
        if node.get("type") == "TABLE_FUNCTION":
            name = str(node["function"].get("function_name") or "").lower()
            if name not in TABLE_FUNCTIONS:
                raise ConfigError(
                    f"The function {name!r} is not answered here.",
                    f"Behind from: views, and {', '.join(sorted(TABLE_FUNCTIONS))}.",
                )


def _part_explain(query: str) -> tuple[str, str]:
    """``explain`` or ``explain analyze``, and what is explained."""
    tokens = duckdb.tokenize(query)
    starts = [offset for offset, kind in tokens if kind != duckdb.token_type.comment]
    data = query.encode()  # offsets are of bytes
    words = [data[a:b].decode() for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]
    names = [_strip_comments(word) for word in words]
    if names[:1] != ["explain"]:
        raise ConfigError("The statement is an EXPLAIN of a kind that is not answered.", _ONLY)
    count = 2 if names[1:2] == ["analyze"] else 1
    return " ".join(names[:count]) + " ", "".join(words[count:])


def _strip_comments(word: str) -> str:
    """A token as DuckDB's tokenizer gives it: with the space and comments that follow."""
    return word.split("--")[0].split("/*")[0].strip().lower()


def _walk(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every object of a JSON value, without recursion: a query can be nested at will."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            yield one
            todo.extend(one.values())
        elif isinstance(one, list):
            todo.extend(one)


def _read_place(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if node.get("type") != "COMPARE_EQUAL":
        return
    sides = [node.get("left"), node.get("right")]
    for column, constant in (sides, reversed(sides)):
        if isinstance(column, dict) and isinstance(constant, dict):
            name = (column.get("column_names") or [""])[-1]
            literal = constant.get("literal") or {}
            if name in ("dataset", "run_id", "layer") and literal.get("kind") == "STRING":
                yield name, literal["text"]
