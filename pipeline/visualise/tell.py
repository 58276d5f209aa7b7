"""What was drawn, as a table for a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.base.visualise_settings import VisualiseConfig
from pipeline.visualise.run import VisualiseSummary
from pipeline.warehouse.connect import connect

TOLD = ("neuron", "label", "facet", "SD", "dataset's max", "P(facet)", "seconds", "picture")
"""Columns of `tell_pictures`."""


def tell_pictures(
    config: VisualiseConfig, done: Sequence[VisualiseSummary]
) -> list[tuple[Any, ...]]:
    """Each picture that was asked for: who drew it, and how strong the answer is, in SD of the run."""
    units, names = list(config.units), list(config.directions)
    with connect(config.warehouse) as connection:
        return connection.execute(
            """
            select
                coalesce(visualisations.unit::varchar, direction), concept, facet,
                activation_sd, dataset_max_sd, facet_probability, draw_s, picture || '.png'
            from visualisations
            left join neuron_labels using (dataset, run_id, layer, unit)
            where
                dataset = $dataset and run_id = $run and list_contains($settings, settings)
                and (
                    list_contains($units::integer[], visualisations.unit)
                    or list_contains($names::varchar[], direction)
                    or ($labelled and is_labelled)
                )
            order by layer, visualisations.unit, direction, number
            """,
            {
                "dataset": config.dataset,
                "run": config.run,
                "settings": [one.settings for one in done],
                "units": units,
                "names": names,
                "labelled": config.labelled,
            },
        ).fetchall()
