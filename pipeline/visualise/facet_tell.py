"""The facet probes of a run as a table for a person."""

from __future__ import annotations

from typing import Any

from pipeline.base.facet_settings import FacetProbeConfig
from pipeline.warehouse.connect import connect

TOLD = ("facet", "layer", "probe layer", "accuracy", "trained on", "held out", "used")
"""Columns of `tell_facet_probes`."""


def tell_facet_probes(config: FacetProbeConfig) -> list[tuple[Any, ...]]:
    """Every probe of the run: how well it tells its facet, and on how many images that was seen."""
    with connect(config.warehouse) as connection:
        return connection.execute(
            """
            select
                facet, layer, probe_layer, accuracy,
                trained_shown_count + trained_other_count,
                held_out_shown_count + held_out_other_count,
                case when is_usable then 'yes' else 'no: below 0.8' end
            from facet_probes
            where dataset = $dataset and run_id = $run_id
            order by facet, layer
            """,
            {"dataset": config.dataset, "run_id": config.run},
        ).fetchall()
