"""Small views that pages ask most, copied into memory while the first pages are answered already.

A view is a query over files: a page that asks it of one neuron plans all that it is made of, opens the files
and reads more than that neuron. As a table in memory, in order of its key, the same costs a millisecond. A view
becomes the table in one step, so that no question meets half of it; until then, and if it is too large, it
answers from the files. Last come the phrases that a search asks (`meanings`).
"""

from __future__ import annotations

import threading
from contextlib import suppress

import duckdb

from pipeline.tables.computed import DERIVED
from pipeline.warehouse.catalog import SOURCES, define
from pipeline.warehouse.duck import open_cursor
from pipeline.warehouse.views import find_view
from pipeline.web.meanings import hold_phrases

HELD = (
    *("stg_runs", "stg_layers", "neuron_stats", "layer_axes", "neuron_labels", "runs", "layers"),
    *("top_examples", "stg_examples", "stg_stimuli", "neuron_clarity", "label_candidates"),
    *("label_evidence", "neuron_multimodality", "run_summary", "neuron_histograms"),
    *("raw_facet_aurocs", "neuron_facets", "top_example_groups", "neuron_groups"),
    *("contrasting_examples", "neuron_neighbours", "shown_counts", "primary_texts"),
    *("run_coverage", "label_baselines", "warn_class_sets", "warn_examples_without_texts"),
    "human_labels",
    *("example_facets", "run_concepts", "conditional_probabilities", "neuron_concepts"),
)
"""What is held, in this order: what comes first makes what comes later quicker to copy."""

MAX_ROWS = 2_000_000
"""A view with more rows stays a view."""

MAX_BYTES = 1 << 30
"""Once so much is held, no more is."""


class Holding:
    """The copying, in a thread of its own."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, max_rows: int = MAX_ROWS) -> None:
        """Args:
        connection: Of ``pipeline.connect``, with every mart; other cursors of it may ask meanwhile.
        max_rows: Of a view that is held.
        """
        self.held: list[str] = []
        """What is in memory by now."""
        self._cursor = open_cursor(connection)
        self._max_rows = max_rows
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="holding", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until all is held that will be; whether it is."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Stop copying; what is held stays."""
        self._is_stopped.set()
        with suppress(duckdb.Error):  # it may be closed by now
            self._cursor.interrupt()
        self._thread.join()

    def _run(self) -> None:
        for name in HELD:
            if self._is_stopped.is_set():
                break
            # Whatever goes wrong, the view still answers, or says itself what is wrong with it.
            with suppress(duckdb.Error):
                if self._bytes() <= MAX_BYTES:
                    self._hold(name)
        with suppress(duckdb.Error):
            if not self._is_stopped.is_set():
                hold_phrases(self._cursor)
        self._cursor.close()

    def _hold(self, name: str) -> None:
        table = f"held_{name}"
        computed = DERIVED.get(name.removeprefix("raw_"))
        order = ", ".join((computed or find_view(name)).key)
        self._cursor.execute(
            f"create table {table} as from (from {name} limit {self._max_rows + 1}) order by {order}"
        )
        ((count,),) = self._cursor.execute(f"select count(*) from {table}").fetchall()
        if count > self._max_rows or self._is_stopped.is_set():
            self._cursor.execute(f"drop table {table}")
            return
        if name in SOURCES:
            define(self._cursor, (name, f"from {table}"))
        else:
            self._cursor.execute(f"create or replace view {name} as from {table}")
        self.held.append(name)

    def _bytes(self) -> int:
        """What tables in memory take."""
        ((size,),) = self._cursor.execute(
            "select sum(memory_usage_bytes) from duckdb_memory() where tag = 'IN_MEMORY_TABLE'"
        ).fetchall()
        return int(size)
