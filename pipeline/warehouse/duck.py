"""Every DuckDB connection is opened here: its memory, where it spills, what it may reach."""

from __future__ import annotations

import weakref

import duckdb

from pipeline.base.open_files import FRUGAL, are_few
from pipeline.base.storage import Store
from pipeline.warehouse.files import PREFIX, WarehouseFiles
from pipeline.warehouse.spill import hold_root, max_spill, release_root, spill_folder

MEMORY_LIMIT = "4GB"
"""DuckDB's limit; beyond it, queries spill to disk."""

SLOW_OPTIMIZERS = "projection_pullup"
"""Over views of views DuckDB 2.0 spends half of all planning in it, seconds where nothing is built; what is
built takes as long without it."""

OPEN: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()
"""All connections that are open: Ctrl-C stops their queries."""


_shares: dict[str, str | int] = {}
"""What `bound_threads` has set, as DuckDB's configuration."""


def bound_threads(count: int) -> None:
    """Let each connection that is opened from now on use so many cores, where others share the machine."""
    _shares["threads"] = count


def open_duckdb(
    store: Store | None = None,
    memory_limit: str = MEMORY_LIMIT,
    database: str = ":memory:",
    files: WarehouseFiles | None = None,
) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection whose queries spill within bounds, never into the current folder.

    It may do anything yet: see `restrict`. What killed processes spilled is removed first.

    Args:
        store: The warehouse; its files are ``warehouse://PATH``. None: no warehouse.
        memory_limit: Beyond it, queries spill.
        database: A file; in memory by default.
        files: The warehouse's, if the caller gives names to some.
    """
    folder = spill_folder(store)
    bound = max_spill(folder)
    connection = duckdb.connect(
        database,
        config={
            "memory_limit": memory_limit,
            "temp_directory": str(folder),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "disabled_optimizers": SLOW_OPTIMIZERS,
            **_shares,
        },
    )
    hold_root(folder.parent)
    weakref.finalize(connection, release_root, folder.parent)
    # DuckDB 2.0 does not keep to the bound if it is part of the configuration above.
    connection.execute(f"set max_temp_directory_size = '{bound}B'")
    connection.execute("set timezone = 'UTC'")
    hide_progress(connection)
    if are_few():
        connection.execute(FRUGAL)
    if store is not None:
        connection.register_filesystem(files or WarehouseFiles(store))
        if not store.is_local:
            connection.register_filesystem(store.fs)
    OPEN.add(connection)
    return connection


def hide_progress(connection: duckdb.DuckDBPyConnection) -> None:
    """No bar of DuckDB's among what is printed, however long a query takes."""
    # In a notebook without ipywidgets it is off, and DuckDB refuses to be told so.
    if connection.execute("select current_setting('enable_progress_bar')").fetchall() == [(True,)]:
        connection.execute("set enable_progress_bar = false")


def restrict(connection: duckdb.DuckDBPyConnection) -> None:
    """From now on the connection reads files of the warehouse, and reaches no other.

    Nothing can be written, attached, installed or loaded, and no option changed: `WarehouseFiles`
    cannot write, and DuckDB lets no other filesystem be used. Tables, views and macros of its own
    (in memory) are free.
    """
    if not connection.filesystem_is_registered("warehouse"):
        raise ValueError("The connection has no warehouse.")
    connection.execute(f"set allowed_directories = ['{PREFIX}']")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def open_cursor(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A second connection to the same database, whose queries Ctrl-C stops too."""
    cursor = connection.cursor()
    OPEN.add(cursor)
    return cursor
