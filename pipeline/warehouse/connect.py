"""The one door to a warehouse: a DuckDB connection with every view.

It is an in-memory DuckDB with one view for every SQL file, over exactly the Parquet files that
manifests name. So it never sees a half-written shard, never locks anything, and is safe beside a
running extraction. Marts that ``build`` has written are used as long as nothing they rest on changed.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import duckdb

from pipeline.base.faults import faults_told
from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.concepts.lexicon import load_lexicon
from pipeline.tables.computed import DERIVED
from pipeline.warehouse.contents import Inventory
from pipeline.warehouse.duck import open_duckdb, restrict
from pipeline.warehouse.files import warehouse_uri
from pipeline.warehouse.headers import View
from pipeline.warehouse.inventory import take_inventory
from pipeline.warehouse.last_build import read_build
from pipeline.warehouse.left_out import note_left_out
from pipeline.warehouse.raw_views import create_raw_views, empty_of, empty_view, quote
from pipeline.warehouse.small_tables import create_table, small_tables
from pipeline.warehouse.stale import explain_staleness, note_stale
from pipeline.warehouse.views import MATERIALISED, load_statements, load_views


def connect(
    warehouse: str | Path,
    settings: LabelSettings | None = None,
    use_marts: bool = True,
    unrestricted: bool = False,
    comments: bool = False,
) -> duckdb.DuckDBPyConnection:
    """Open a warehouse: a DuckDB connection with all views.

    Safe beside a running extraction: it shows the shards that were done when it was opened. It reads
    the warehouse and no other file, writes none, installs nothing, and its options are locked; tables,
    views and macros of its own are free. What queries cannot hold in memory they spill, see
    `pipeline.warehouse.spill`.

    Args:
        warehouse: Folder or URL.
        settings: Parameters of the labelling views; those of the last ``build`` if None.
        use_marts: Use what ``build`` wrote, if it is up to date; otherwise everything is computed
            from the activations and partials when it is asked for. The answers are the same, but
            for what needs linear algebra (``raw_<name>`` of `computed.DERIVED`): only a build has it.
        unrestricted: All that DuckDB can do: read and write any file, attach, install, set options.
        comments: Views and columns say what they mean (``duckdb_views()``, ``duckdb_columns()``): for
            who looks around; a thousand statements, a third of the time that opening takes.

    A dataset or a run that cannot be read is left out, with a warning that says what to do.

    Raises:
        WarehouseError: There is no dataset, or none that can be read.
    """
    store = Store(warehouse)
    inventory = take_inventory(store)
    connection = open_files(inventory)
    built = read_build(store)
    settings = settings or (built.settings if built else LabelSettings())
    marts = ""
    if built and built.fingerprint == inventory.fingerprint(settings) and built.is_whole(store):
        marts = built.folder
    names = MATERIALISED if use_marts else tuple(DERIVED)
    add_views(connection, inventory, settings, marts, names if marts else ())
    if comments:
        connection.execute(";\n".join(map(_comments, load_views())))
    if use_marts and not marts:
        note_stale(connection, explain_staleness(inventory, built.runs if built else None))
    if not unrestricted:
        restrict(connection)
    return connection


def open_files(inventory: Inventory) -> duckdb.DuckDBPyConnection:
    """A connection with the views over the files of an inventory alone.

    A dataset or run whose files cannot be read is left out of the inventory too, see `raw_views`.

    Raises:
        NeuronsError: Nothing can be read.
    """
    connection = open_duckdb(inventory.store)
    create_raw_views(connection, inventory)
    note_left_out(connection, tuple(inventory.left_out))
    return connection


def take_whole_inventory(store: Store) -> Inventory:
    """An inventory of what can be read, its files as well as its records: what a build rests on.

    Raises:
        NeuronsError: As of `take_inventory`.
    """
    inventory = take_inventory(store)
    open_files(inventory).close()
    return inventory


def open_views(inventory: Inventory, settings: LabelSettings) -> duckdb.DuckDBPyConnection:
    """A connection with every view over the files of an inventory; nothing from a build.

    Raises:
        NeuronsError: As of `open_files`.
    """
    connection = open_files(inventory)
    add_views(connection, inventory, settings)
    return connection


def add_views(
    connection: duckdb.DuckDBPyConnection,
    inventory: Inventory,
    settings: LabelSettings,
    folder: str = "",
    marts: Collection[str] = (),
) -> None:
    """Make every view.

    Args:
        connection: Of `open_files`.
        inventory: Which files there are.
        settings: Parameters of the labelling views.
        folder: Where a build of these files with these settings wrote its marts.
        marts: Those to answer from there; all others are computed when they are asked for.

    Raises:
        WarehouseError: A file is damaged.
    """
    for name, rows, columns in small_tables(inventory, settings):
        create_table(connection, name, rows, columns)
    connection.register("lexicon_file", load_lexicon())
    connection.execute("create table lexicon as from lexicon_file")
    connection.unregister("lexicon_file")
    empty = [empty_view(table) for name, table in DERIVED.items() if name not in marts]
    with faults_told(inventory.store.url):
        connection.execute("begin")
        for statements in [*empty, *load_statements()]:
            connection.execute(statements)
        connection.execute(";\n".join(map(empty_of, load_views())))
        for name in marts:
            use_mart(connection, folder, name)
        for view in reversed(load_views()):
            if view.name not in marts or view.name in DERIVED:
                connection.execute(f"create or replace view {view.name} as\n{view.body}")
        connection.execute("commit")


def use_mart(connection: duckdb.DuckDBPyConnection, folder: str, name: str) -> None:
    """Answer a view from the Parquet that a build wrote."""
    file = quote(warehouse_uri(f"{folder}/{name}.parquet"))
    view = f"raw_{name}" if name in DERIVED else name
    connection.execute(f"create or replace view {view} as from read_parquet({file})")


def _comments(view: View) -> str:
    """SQL that says in the database what a view and its columns mean."""
    text = quote(f"{view.purpose} Grain: {view.grain}.")
    statements = [f"comment on view {view.name} is {text}"]
    for column in view.columns:
        unit = f" [{column.unit}]" if column.unit else ""
        where = f"{view.name}.{column.name}"
        statements.append(f"comment on column {where} is {quote(column.meaning + unit)}")
    return ";\n".join(statements)
