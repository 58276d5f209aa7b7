"""Views over given rows: each relation that they read becomes a table, with the columns of its header."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.tables.computed import DERIVED
from pipeline.tables.schema import TABLES
from pipeline.warehouse.inventory import Inventory
from pipeline.warehouse.own_concepts import LEXICON_COLUMNS
from pipeline.warehouse.raw_views import empty_of
from pipeline.warehouse.small_tables import create_table, small_tables
from pipeline.warehouse.views import find_view, load_statements, load_views

PLACE = {"dataset": "d", "model_id": "m", "run_id": "r", "layer": "l"}
"""Where a row is of that does not say it. Switches are off, all else is null."""


class SqlWorld:
    """``con`` holds the macros, the views named, and as empty tables all else that these read.

    ``settings`` is filled; whether a value has a place in the rows is up to each test.
    """

    def __init__(
        self, views: Collection[str], tables: Collection[str] = (), threads: int = 2, **changes: Any
    ) -> None:
        """Make them.

        Args:
            views: Those to test.
            tables: More relations, that no view named reads.
            threads: Of DuckDB.
            changes: Of the default settings.
        """
        self.con = duckdb.connect(":memory:", config={"threads": threads})
        self.tables: list[str] = []
        chosen = [view for view in load_views() if view.name in views]
        assert {view.name for view in chosen} == set(views)
        read = {name for view in chosen for name in view.reads} | set(tables)
        for name in sorted(read - set(views) - {"settings"}):
            columns = [_with_default(c, kind) for c, kind in columns_of(name).items()]
            self.con.execute(f"create table {name} ({', '.join(columns)})")
            self.tables.append(name)
        create_table(self.con, *_small(LabelSettings(**changes))["settings"])
        for statements in load_statements():
            self.con.execute(statements)
        for view in chosen:
            self.con.execute(f"create view {view.name} as {empty_of(view)}")
        for view in reversed(chosen):  # so each expands empty ones only, three times faster
            self.con.execute(f"create or replace view {view.name} as\n{view.body}")

    def empty(self, **changes: Any) -> None:
        """Leave no row in a table, and the settings as for a new world."""
        self.con.execute("".join(f"delete from {name};" for name in self.tables))
        self.con.execute("drop table settings")
        create_table(self.con, *_small(LabelSettings(**changes))["settings"])

    def insert(self, table: str, rows: Iterable[dict[str, Any]], **shared: Any) -> None:
        """See the function."""
        insert(self.con, table, rows, **shared)

    def add(self, table: str, names: str, *rows: Any, **shared: Any) -> None:
        """Insert rows that are tuples of the columns named, or single values of the one."""
        columns = names.split()
        told = [row if isinstance(row, tuple) else (row,) for row in rows]
        insert(self.con, table, [dict(zip(columns, row, strict=True)) for row in told], **shared)

    def shuffle(self, *tables: str) -> None:
        """Put the rows of these tables, or of all, in an order that tells nothing."""
        for table in tables or self.tables:
            order = "order by hash(columns(*)::varchar)"
            self.con.execute(f"create or replace temp table shuffled as from {table} {order}")
            self.con.execute(f"delete from {table}; insert into {table} from shuffled")

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows that a query finds."""
        return self.con.execute(query, parameters).fetchall()


def empty_world(
    views: tuple[str, ...], tables: tuple[str, ...] = (), threads: int = 2, **changes: Any
) -> SqlWorld:
    """A world without rows: the one that was asked for before, emptied, which takes a tenth of the time."""
    world = _world(views, tables, threads)
    world.empty(**changes)
    return world


@cache
def _world(views: tuple[str, ...], tables: tuple[str, ...], threads: int) -> SqlWorld:
    return SqlWorld(views, tables, threads)


@cache
def columns_of(relation: str) -> dict[str, str]:
    """Names and DuckDB types of a view (by its header), a ``raw_`` view or a small table."""
    small = _small(LabelSettings())
    if relation in small:
        columns = small[relation][2].replace('"', "").split(",")
        return {c.split()[0]: c.split()[1] for c in columns}
    if relation == "lexicon":
        return dict.fromkeys(LEXICON_COLUMNS, "varchar")
    if relation.startswith("raw_"):
        table = (TABLES | DERIVED)[relation.removeprefix("raw_")]
        found = dict.fromkeys(table.partitions, "varchar")
        found |= {c.name: c.duckdb for c in table.columns}
        more = {
            "rank2": "bigint",
            "is_ranked": "boolean",
            "is_counted": "boolean",
        }  # of compacted ones
        return found | more if relation == "raw_activations" else found
    return {c.name: c.type for c in find_view(relation).columns}


def insert(
    con: duckdb.DuckDBPyConnection, table: str, rows: Iterable[dict[str, Any]], **shared: Any
) -> None:
    """Insert rows; a column that a row lacks is ``shared``, or what the table has by default."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        whole = shared | row
        alike.setdefault(tuple(whole), []).append(whole)
    _insert_alike(con, table, alike)
    if table == "lexicon":
        con.execute("update lexicon set phrase_key = array_to_string(tokenise(phrase), ' ')")


def _insert_alike(
    con: duckdb.DuckDBPyConnection,
    table: str,
    alike: dict[tuple[str, ...], list[dict[str, Any]]],
) -> None:
    """Insert rows by the columns that they have."""
    for names, group in alike.items():
        if len(group) < 3:
            marks = ", ".join("?" * len(names))
            rows_given = [[*row.values()] for row in group]
            con.executemany(
                f"insert into {table} ({', '.join(names)}) values ({marks})", rows_given
            )
            continue
        frame = pa.table({name: [row[name] for row in group] for name in names})
        con.register("rows_to_insert", frame)
        con.execute(f"insert into {table} by name from rows_to_insert")
        con.unregister("rows_to_insert")


def _small(settings: LabelSettings) -> dict[str, tuple[str, list[dict[str, Any]], str]]:
    inventory = Inventory(Store("memory://nowhere"))
    return {entry[0]: entry for entry in small_tables(inventory, settings)}


def _with_default(name: str, kind: str) -> str:
    value = f"'{PLACE[name]}'" if name in PLACE else "false" if kind == "boolean" else "null"
    return f'"{name}" {kind} default {value}'
