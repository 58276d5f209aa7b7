"""What a person sees in Prefect's pages while a flow runs and after it: bars, tables, a summary."""

from __future__ import annotations

import contextvars
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.logging import get_run_logger

from flows.server import show_if_there
from pipeline.base.display import quote_markdown, show
from pipeline.upkeep.check_views import CheckResult

UPDATE_EVERY_S = 1.0
"""A bar is moved at most this often: each time is a request to the server."""

MAX_TABLE_ROWS = 1000
"""Longest table that is sent to the server; failed shards come first."""


def artifact_key(*parts: str) -> str:
    """A key as Prefect allows it: lower case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def create_bar(description: str, key: str | None = None) -> UUID | None:
    """An empty bar, or None if the server is lost. With a key it stands on the page of artifacts."""
    # Typed as one or the other; outside async code, which we have none of, it is the id.
    made = show_if_there(create_progress_artifact, 0.0, key=key, description=description)
    return cast("UUID | None", made)


def move_bar(bar: UUID | None, percent: float) -> None:
    """Move a bar that is there."""
    if bar is not None:
        show_if_there(update_progress_artifact, bar, percent)


class ArtifactProgress:
    """A bar on the page of a task run, and a line in its log for every note.

    The numbers come from whatever thread does the work; they are sent by a thread of their own, so
    that a slow server never holds up an extraction, and a lost one never fails it.

    Args:
        description: What the bar shows, in words.
    """

    def __init__(self, description: str) -> None:
        self._description = description
        self._log = get_run_logger()
        self._done, self._total = 0, 0
        self._stop = threading.Event()
        self._sender: threading.Thread | None = None

    def start(self, what: str, total: int | None) -> None:
        """Show an empty bar; none at all where nothing is to do or nobody knows how much."""
        self.finish()
        self._done, self._total = 0, total or 0
        self._log.info("%s: begins%s", show(what), "" if total is None else f", {total} in all")
        if self._total:
            self._stop.clear()
            # Prefect keeps its settings and the current run in context variables, which a new
            # thread does not inherit: without a copy it would talk to another server.
            run = contextvars.copy_context().run
            self._sender = threading.Thread(target=run, args=(self._send,), daemon=True)
            self._sender.start()

    def advance(self, count: int, note: str = "") -> None:
        """Count; the bar follows within a second."""
        self._done += count
        if note:
            self._log.info("%s", show(note))

    def finish(self) -> None:
        """Send the last number and stop."""
        if self._sender is not None:
            self._stop.set()
            self._sender.join()
            self._sender = None

    def _send(self) -> None:
        try:
            artifact_id = create_bar(self._description)
            sent = 0
            while not self._stop.wait(UPDATE_EVERY_S) or sent != self._done:
                if sent != self._done:
                    sent = self._done
                    move_bar(artifact_id, min(100.0, 100 * sent / self._total))
        except Exception as error:  # a picture of the work is not the work
            self._log.warning("The progress bar cannot be updated any more: %s", show(error))


@dataclass(frozen=True)
class ShardRow:
    """What the table of shards says of one."""

    shard: str
    status: str
    """``done``, ``failed`` or ``pending``."""
    read: int
    written: int
    rejected: int
    images_per_s: float | None
    """Rate of the task that did it; None if an earlier flow run did."""
    seconds: float
    """Read, decode and write, summed over threads."""
    error: str | None


def show_shards(key: str, rows: Sequence[ShardRow], what: str) -> None:
    """The table of shards of a run, failed ones first."""
    order = {"failed": 0, "pending": 1, "done": 2}
    shown = sorted(rows, key=lambda row: order[row.status])[:MAX_TABLE_ROWS]
    more = "" if len(shown) == len(rows) else f" The first {len(shown)} of {len(rows)} rows."
    show_if_there(
        create_table_artifact,
        [_cells(row) for row in shown],
        key=key,
        description=f"Shards of {quote_markdown(what)}.{more}",
    )


def _cells(row: ShardRow) -> dict[str, Any]:
    rate = "" if row.images_per_s is None else f"{row.images_per_s:.1f}"
    return {
        "shard": show(row.shard),
        "status": row.status,
        "read": row.read,
        "written": row.written,
        "rejected": row.rejected,
        "images/s": rate,
        "seconds": round(row.seconds, 3),
        "error": show(row.error or ""),
    }


def show_checks(key: str, results: Sequence[CheckResult], warehouse: str) -> None:
    """The table of checks, violated ones first."""
    show_if_there(
        create_table_artifact,
        [
            {
                "check": result.name,
                "violations": result.violation_count,
                "kind": "warning" if result.is_warning else "check",
                "purpose": result.purpose,
            }
            for result in sorted(results, key=lambda result: -result.violation_count)
        ],
        key=key,
        description=f"Checks of {quote_markdown(warehouse)}; rows are violations.",
    )


def show_markdown(key: str, text: str, description: str) -> None:
    """A page of text."""
    show_if_there(create_markdown_artifact, text, key=key, description=description)
