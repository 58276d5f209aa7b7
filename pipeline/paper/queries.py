"""What queries of several sections share, and a query as a person can run it."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.warehouse.raw_views import quote

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


def spell_out(query: str, where: Mapping[str, str | int]) -> str:
    """A query as ``neurons sql`` takes it: its parameters filled in.

    Args:
        query: Names of parameters begin with a dollar.
        where: Their values.
    """
    for name, value in where.items():
        query = query.replace(f"${name}", quote(str(value)))
    return query.strip()
