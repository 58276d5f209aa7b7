"""Where a neuron answers most, in the images that are drawn: the view ``peaks`` reads those of all neurons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.report.card_queries import THESE

if TYPE_CHECKING:
    import duckdb

IN_IMAGE = """
    x_in_image(
        seen_x_frac, width_px, height_px, is_turned, image_width_px, image_height_px, resize_mode
    ) as x_frac,
    y_in_image(
        seen_y_frac, width_px, height_px, is_turned, image_width_px, image_height_px, resize_mode
    ) as y_frac
"""
"""Columns of a query over ``examples`` and ``stg_runs``, and a view that has ``seen_x_frac``."""


class InImage(NamedTuple):
    """A place in the whole image, upright."""

    x_frac: float
    """From the left, 0..1."""
    y_frac: float
    """From the top."""


def read_peaks(
    connection: duckdb.DuckDBPyConnection,
    neurons: Mapping[str, object],
    ids: Iterable[int],
    views: Sequence[str] = ("top_examples",),
) -> dict[int, dict[int, InImage]]:
    """The places of some neurons that are known and lie in the image, by unit and example.

    Args:
        connection: Of ``pipeline.connect``.
        neurons: ``dataset``, ``run_id``, ``layer`` and ``units``.
        ids: The examples that are drawn.
        views: What keeps places: ``top_examples``, ``neuron_samples``.
    """
    kept = " union ".join(
        f"""
        select unit, example_id, seen_x_frac, seen_y_frac from {view}
        where {THESE} and example_id in (select unnest($ids::bigint[]))
        """
        for view in views
    )
    # As x_in_image and y_in_image step by step: planning those takes longer than all else.
    rows = connection.execute(
        f"""
        with placed as (
            select
                unit, example_id, seen_x_frac, seen_y_frac, image_width_px, image_height_px, resize_mode,
                if(is_turned, height_px, width_px) as upright_width_px,
                if(is_turned, width_px, height_px) as upright_height_px,
            from ({kept}) as kept
            inner join examples using (example_id)
            cross join stg_runs
            where
                examples.dataset = $dataset
                and stg_runs.dataset = $dataset and stg_runs.run_id = $run_id
        ),

        resized as (
            select
                *,
                resized_px(
                    upright_width_px, upright_height_px, image_width_px, image_height_px, resize_mode
                ) as resized_width_px,
                resized_px(
                    upright_height_px, upright_width_px, image_height_px, image_width_px, resize_mode
                ) as resized_height_px,
            from placed
        )

        select
            unit, example_id,
            image_frac(seen_x_frac, resized_width_px, image_width_px) as x_frac,
            image_frac(seen_y_frac, resized_height_px, image_height_px) as y_frac,
        from resized
        """,
        {**neurons, "ids": list(ids)},
    ).fetchall()
    found: dict[int, dict[int, InImage]] = {}
    for unit, example_id, x, y in rows:
        if x is not None and y is not None:
            found.setdefault(unit, {})[example_id] = InImage(x, y)
    return found
