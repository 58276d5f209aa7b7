"""What a run's labels are supported by, as a table for a person."""

from __future__ import annotations

from typing import Any

from pipeline.base.support_settings import SupportConfig
from pipeline.warehouse.connect import connect

TOLD = ("score", "labels", "supported", "median", "another label's", "permuted")
"""Columns of `tell_support`."""

_SCORES = {
    "fresh images, AUC": ("fresh_auc", "fresh", "permuted_fresh_auc"),
    "fresh images, MAD": ("fresh_mad", "fresh", "permuted_fresh_mad"),
    "purity": ("purity", "purity", "permuted_purity"),
    "detection": ("detection", "detection", "permuted_detection"),
    "prediction": ("prediction", "prediction", "permuted_prediction"),
    "faithfulness": ("faithfulness", "faithfulness", "direction_faithfulness"),
    "agreement": ("agreement", "agreement", "permuted_agreement"),
}
"""By what it is called: the score, what it is part of, and what stands for a permuted one."""


def tell_support(config: SupportConfig) -> list[tuple[Any, ...]]:
    """Of each score: how many labels have it, how many it supports, and its median beside the baselines'."""
    where = {"dataset": config.dataset, "run_id": config.run}
    rows = []
    with connect(config.warehouse) as connection:
        for name, (score, part, permuted) in _SCORES.items():
            found = connection.execute(
                f"""
                select
                    count({score}), count(*) filter (where is_{part}_supported),
                    median({score}), median(other_{score}), median({permuted})
                from label_evidence
                where dataset = $dataset and run_id = $run_id
                """,
                where,
            ).fetchone()
            rows.append((name, *(found or ())))
    return rows


TOLD_BY_COUNT = ("supported by", "of", "labels", "share")
"""Columns of `tell_counts`."""


def tell_counts(config: SupportConfig) -> list[tuple[Any, ...]]:
    """How many labels how many scores support, most first."""
    with connect(config.warehouse) as connection:
        return connection.execute(
            """
            select
                supported_count, measured_count, count(*),
                count(*) / sum(count(*)) over ()
            from label_evidence
            where dataset = $dataset and run_id = $run_id
            group by all
            order by supported_count desc, measured_count desc
            """,
            {"dataset": config.dataset, "run_id": config.run},
        ).fetchall()
