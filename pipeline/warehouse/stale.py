"""Marts that are older than the data, or not built: said before a question that takes long for it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import duckdb

from pipeline.base.errors import WarehouseError
from pipeline.base.settings import LabelSettings
from pipeline.base.warn import warn_once
from pipeline.tables.computed import DERIVED
from pipeline.warehouse.contents import Inventory
from pipeline.warehouse.last_build import Build
from pipeline.warehouse.parts import Fingerprints, Part
from pipeline.warehouse.views import MATERIALISED, find_source, is_view

STALE_VARIABLE = "NEURONS_STALE"
"""The environment variable that says what to do: ``answer`` (the default) or ``stop``."""

_reasons: WeakKeyDictionary[duckdb.DuckDBPyConnection, tuple[str, set[str]]] = WeakKeyDictionary()


def explain_staleness(
    inventory: Inventory, settings: LabelSettings, built: Build | None, stale: Collection[Part]
) -> str:
    """Why marts cannot be used.

    Args:
        inventory: What there is now.
        settings: Parameters of the labelling views.
        built: What the last build says.
        stale: The parts of which a mart is not fresh, one or more.
    """
    if built is None or not built.files:
        return "No marts are built"
    now = Fingerprints(inventory, settings)
    newer = [part.told for part in stale if built.runs.get(part.told) != now.data_of(part)]
    if runs := [part.told for part in stale if len(part.runs) == 1 and part.told in newer]:
        return f"The marts are older than {_count_runs(runs)}"
    if newer:
        return f"The marts are older than the shards of {newer[0]}"
    return "The marts were built from other data, settings or by another version"


def _count_runs(runs: list[str]) -> str:
    count = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    return f"{count} ({', '.join(sorted(runs)[:3])}{', ...' * (len(runs) > 3)})"


def note_stale(connection: duckdb.DuckDBPyConnection, reason: str, stale: Collection[Part]) -> None:
    """Remember that a connection computes what a build would have written for some parts."""
    _reasons[connection] = reason, {name for part in stale for name in part.marts}


def tell_stale(
    connection: duckdb.DuckDBPyConnection, asked: Iterable[str], do: str | None = None
) -> None:
    """Say so once, if what is asked rests on a mart that has to be computed for it.

    Args:
        connection: Of ``connect.connect``.
        asked: Names of views.
        do: ``stop`` or ``answer``; by default as the environment says.

    Raises:
        WarehouseError: It is so, and to stop was asked.
    """
    reason, stale = _reasons.get(connection, ("", set()))
    needed = [name for name in rests_on(asked) if name in stale] if stale else []
    costly = [name for name in needed if name not in DERIVED]
    empty = [name for name in needed if name in DERIVED]
    if not needed:
        return
    if (do or os.environ.get(STALE_VARIABLE, "answer")) == "stop":
        raise WarehouseError(
            f"{reason}, and this needs {_list(needed)}.", "Build them: neurons build"
        )
    told = f"{_list(costly)} will be computed for this question, which can take minutes" * bool(
        costly
    )
    lacking = f"without a build there are no rows of {_list(empty)}" * bool(empty)
    warn_once(f"{reason}: {'; '.join(filter(None, (told, lacking)))}. Build them: neurons build")


def why_stale(connection: duckdb.DuckDBPyConnection) -> str | None:
    """Why marts are computed when they are asked for; None if a build has them."""
    return _reasons.get(connection, (None, None))[0]


def _list(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def rests_on(names: Iterable[str]) -> list[str]:
    """The marts that views rest on, each once, in the order in which they are built."""
    todo, seen = list(names), set()
    while todo:
        name = todo.pop().removeprefix("raw_")  # computed tables have no view of their own name
        if name not in seen and (is_view(name) or name in DERIVED):
            seen.add(name)
            todo += find_source(name).reads if is_view(name) else ()
    return [name for name in MATERIALISED if name in seen]


def views_of_query(connection: duckdb.DuckDBPyConnection, query: str) -> set[str]:
    """Names of the tables and views that a query reads.

    Of anything but a select (``create temp table ... as``), which DuckDB does not take apart for us:
    every word of it.
    """
    (text,) = connection.execute("select json_serialize_sql($query)", {"query": query}).fetchall()[
        0
    ]
    parsed = json.loads(text)
    if parsed["error"]:
        return set(re.findall(r"[a-z_][a-z_0-9]*", query.lower()))
    return set(_table_names(parsed))


def _table_names(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("show_type") == "DESCRIBE":
            return  # reads nothing
        if node.get("type") == "BASE_TABLE":
            yield node["table_name"].lower()
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from _table_names(part)
