"""What queries of several sections share, and a query as a person can run it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.warehouse.raw_views import quote

if TYPE_CHECKING:
    import duckdb

SAME_MODEL = """
-- Attacks and cards are datasets of their own: those of this run, or else of others of the same weights.
models as (
    select dataset, run_id, dataset = $dataset and run_id = $run_id as is_own
    from runs
    where weights_sha256 in (
        select weights_sha256 from runs where dataset = $dataset and run_id = $run_id
    )
)
"""
"""A relation of queries: the runs by the weights of the page's run, and which is that run."""


def find_interval(
    connection: duckdb.DuckDBPyConnection, hit_count: int, count: int
) -> tuple[float, float]:
    """The ends of Wilson's 95 % interval of a share."""
    asked = "select wilson_low($hits, $count), wilson_high($hits, $count)"
    ((low, high),) = connection.execute(asked, {"hits": hit_count, "count": count}).fetchall()
    return low, high


def spell_out(query: str, where: Mapping[str, str | int | list[int]]) -> str:
    """A query as ``neurons sql`` takes it: its parameters filled in.

    Args:
        query: Names of parameters begin with a dollar.
        where: Their values.
    """
    for name, value in where.items():
        told = str(value) if isinstance(value, list) else quote(str(value))
        query = query.replace(f"${name}", told)
    return query.strip()
