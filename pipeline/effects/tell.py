"""What a measurement found, as a table for a person."""

from __future__ import annotations

from typing import Any

from pipeline.base.effect_settings import EffectConfig
from pipeline.warehouse.connect import connect

TOLD = (
    "layer",
    "methods",
    "labels",
    "pushed most",
    "by direction",
    "median rank",
    "other's rank",
    "faithfulness",
    "other's",
    "loss",
    "other's loss",
)
"""Columns of `tell_effects`."""

_QUERY = """
    select
        layer, agreement, count(*) as labels,
        avg((label_rank = 1)::integer) as pushed,
        avg((direction_rank = 1)::integer) as by_direction,
        median(label_rank) as median_rank, median(other_rank) as other_rank,
        avg(faithfulness) as faithfulness, avg(other_faithfulness) as other_faithfulness,
        avg(loss) as loss, avg(other_loss) as other_loss
    from neuron_effects
    inner join neuron_labels using (dataset, run_id, layer, unit, concept)
    where dataset = $dataset and run_id = $run_id
    group by all
    order by layer, agreement desc
"""


def tell_effects(config: EffectConfig) -> list[tuple[Any, ...]]:
    """Labels of a run by how many of three methods chose them, and what their neurons do.

    Share of the labels that are the concept that the neuron pushes most, and that a random direction does;
    median rank of the label and of another concept; mean faithfulness and loss of both.
    """
    with connect(config.warehouse) as connection:
        where = {"dataset": config.dataset, "run_id": config.run}
        return connection.execute(_QUERY, where).fetchall()
