"""What a measurement found, as a table for a person."""

from __future__ import annotations

from typing import Any

from pipeline.base.effect_settings import AblationConfig, EffectConfig
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

TOLD_OF_ABLATIONS = (
    "layer",
    "class set",
    "text",
    "placement",
    "neurons",
    "flips",
    "back",
    "95 %",
    "random back",
    "clean images",
    "changed",
    "random changed",
)
"""Columns of `tell_ablations`; shares in %."""

_ABLATIONS = """
    select
        layer, class_set, attack_text, placement, neuron_count, flip_count, 100 * back_frac,
        format('[{:.1f}, {:.1f}]', 100 * back_low, 100 * back_high), 100 * random_back_frac,
        clean_count, 100 * clean_changed_frac, 100 * random_clean_changed_frac
    from attack_ablations
    where
        dataset = $dataset and run_id = $run_id and coalesce(class_set = $class_set, true)
    order by layer, class_set, attack_text, target_class, placement, neuron_count
"""


def tell_effects(config: EffectConfig) -> list[tuple[Any, ...]]:
    """Labels of a run by how many of three methods chose them, and what their neurons do.

    Share of the labels that are the concept that the neuron pushes most, and that a random direction does;
    median rank of the label and of another concept; mean faithfulness and loss of both.
    """
    with connect(config.warehouse) as connection:
        where = {"dataset": config.dataset, "run_id": config.run}
        return connection.execute(_QUERY, where).fetchall()


def tell_ablations(config: AblationConfig) -> list[tuple[Any, ...]]:
    """By attack and number of neurons, the share of flips that go back without them, and what it costs."""
    with connect(config.warehouse) as connection:
        where = {"dataset": config.dataset, "run_id": config.run}
        return connection.execute(
            _ABLATIONS, {**where, "class_set": config.class_set or None}
        ).fetchall()
