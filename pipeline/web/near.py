"""Neurons that answer to the same images, in the same layer and elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.report.asking import Asker
from pipeline.report.card_queries import THESE, name_these
from pipeline.warehouse.find import Neuron

if TYPE_CHECKING:
    import duckdb

_NEAR = f"""
with near as (
    select *
    from neuron_neighbours
    where {THESE} and neighbour_rank <= 6
)

select
    near.unit, other_model_id, other_run_id, other_layer, other_unit, correlation,
    labels.concept, coalesce(labels.is_labelled, false) as is_labelled,
from near
left join neuron_labels as labels
    on
        near.dataset = labels.dataset and other_run_id = labels.run_id
        and other_layer = labels.layer and other_unit = labels.unit
order by
    near.unit, other_run_id <> near.run_id, other_layer <> near.layer, other_run_id, other_layer,
    neighbour_rank
"""


class Near(NamedTuple):
    """A neuron that answers to the same images as another."""

    other_model_id: str
    other_run_id: str
    other_layer: str
    other_unit: int
    correlation: float
    concept: str | None
    is_labelled: bool


def read_near(
    connection: duckdb.DuckDBPyConnection, neurons: Sequence[Neuron]
) -> Mapping[int, Sequence[Near]]:
    """The nearest neurons of some, by unit: those of the same layer first, the nearest of each layer first.

    Args:
        connection: Of ``pipeline.connect``.
        neurons: At least one, all of one layer.
    """
    return Asker(connection, name_these(neurons)).by_unit(_NEAR, Near)
