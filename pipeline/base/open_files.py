"""How many files this process may have open, and how DuckDB gets along with few."""

from __future__ import annotations

import sys

ENOUGH = 512
"""With fewer, DuckDB is told to look ahead less: measured, a check of 30 shards then has 20 open
instead of 180. The ordinary limit is 1,024."""

FRUGAL = (
    "load parquet; set threads = 1; set async_threads = 1; set disable_parquet_prefetching = true"
)
"""Settings of a DuckDB connection that opens one file after another."""


def open_file_limit() -> int | None:
    """Files that this process may have open at once, or None where there is no such limit."""
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def are_few() -> bool:
    """Whether DuckDB must be frugal with open files."""
    limit = open_file_limit()
    return limit is not None and limit < ENOUGH


def raise_open_file_limit(wanted: int = 8192) -> None:
    """Allow this process more open files, as far as the system lets us without asking anybody."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (OSError, ValueError):
            return  # then the limit stays, and an error that meets it names it
