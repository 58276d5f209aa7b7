"""The warehouse, held open: one connection, a cursor for each request.

A connection costs a tenth of a second and more, a cursor two milliseconds. What it shows is the warehouse
as it was when it was opened: beside a running extraction too, whose new shards would make every mart stale,
and so every page slow. `Door.open_again` looks again. Small views that pages ask most are copied into memory
after the start, see `holding`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import duckdb

from pipeline.base.storage import Store
from pipeline.warehouse.connect import connect
from pipeline.warehouse.duck import open_cursor
from pipeline.warehouse.stale import why_stale
from pipeline.web.holding import Holding


class Door:
    """What all requests share."""

    def __init__(self, warehouse: str, holds: bool = False) -> None:
        """Args:
        warehouse: Folder or URL.
        holds: Copy into memory what pages ask most; not where marts are stale, which would take minutes.

        Raises:
            WarehouseError: There is none, or nothing in it can be read.
        """
        self.warehouse = warehouse
        self.store = Store(warehouse)
        self._holds = holds
        self._lock = threading.Lock()
        self.holding: Holding | None = None
        self._open()

    def _open(self) -> None:
        opened_at = datetime.now(UTC)  # what is written from now on may be missed
        opened = connect(self.warehouse)
        self.connection: duckdb.DuckDBPyConnection = opened
        self.opened_at = opened_at
        reason = why_stale(opened)
        self.notice = (
            reason
            and f"{reason}: some panels take minutes or stay empty. neurons build makes them."
        )
        if self._holds and reason is None:
            self.holding = Holding(opened)

    def open_again(self) -> None:
        """See what there is now. Requests that are being answered end with what they began with."""
        with self._lock:
            self._stop_holding()
            self._open()  # the old one closes when its last cursor is gone

    def close(self) -> None:
        """Nothing more will be asked."""
        with self._lock:
            self._stop_holding()

    def _stop_holding(self) -> None:
        if self.holding is not None:
            self.holding.stop()
            self.holding = None

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for one request."""
        cursor = open_cursor(self.connection)
        try:
            yield cursor
        finally:
            cursor.close()
