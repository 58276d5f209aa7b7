"""Which images the pages of a site show: so each is decoded once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.report.gather import EXAMPLE_COUNT, GROUP_COUNT, SAMPLE_COUNT
from pipeline.web.site.choose import Chosen, Place
from pipeline.web.site.jobs import Job, ListsJob, NeuronsJob

if TYPE_CHECKING:
    import duckdb

_WANTED = """
with these as (
    select $dataset as dataset, $run_id as run_id, $layer as layer, unnest($units::integer[]) as unit
),

near as (
    select distinct
        dataset, other_run_id as run_id, other_layer as layer, other_unit as unit,
    from neuron_neighbours
    semi join these using (dataset, run_id, layer, unit)
    where neighbour_rank <= 6 and dataset = $dataset
)

select example_id
from top_examples
semi join these using (dataset, run_id, layer, unit)
where example_rank <= $examples and dataset = $dataset
union
select example_id
from neuron_samples
semi join these using (dataset, run_id, layer, unit)
where sample_rank <= $samples and dataset = $dataset
union
select example_id
from contrasting_examples
semi join these using (dataset, run_id, layer, unit)
where contrast_rank <= $examples and dataset = $dataset
union
select example_id
from top_examples
semi join near using (dataset, run_id, layer, unit)
where polarity = 'positive' and example_rank <= 3 and dataset = $dataset
union
(
    select example_id
    from top_example_groups
    semi join these using (dataset, run_id, layer, unit)
    where dataset = $dataset
    qualify
        row_number() over (
            partition by run_id, layer, unit, group_rank order by example_rank
        ) <= $groups
)
"""


def find_wanted(
    connection: duckdb.DuckDBPyConnection, chosen: Chosen, jobs: Sequence[Job]
) -> dict[str, list[int]]:
    """Images that pages will show, by dataset, ascending. One that is missed is decoded when it is met.

    Args:
        connection: Of ``pipeline.connect``.
        chosen: The neurons that have pages.
        jobs: Those that are to do.
    """
    found: dict[str, set[int]] = {}
    placed = [job for job in jobs if isinstance(job, NeuronsJob | ListsJob)]
    for place in dict.fromkeys(Place(*job.place) for job in placed):
        rows = connection.execute(
            _WANTED,
            {
                **place._asdict(),
                "units": list(chosen.units[place]),
                "examples": EXAMPLE_COUNT,
                "samples": SAMPLE_COUNT,
                "groups": GROUP_COUNT,
            },
        ).fetchall()
        found.setdefault(place.dataset, set()).update(example_id for (example_id,) in rows)
    return {dataset: sorted(ids) for dataset, ids in found.items()}
