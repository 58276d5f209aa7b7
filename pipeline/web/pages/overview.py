"""Where everything begins: the runs of the warehouse, and a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.report.gather_report import read_warnings
from pipeline.warehouse.find import find_run

if TYPE_CHECKING:
    from pipeline.web.view import View

_RUNS = """
select
    run_summary.*, runs.pending_shard_count, runs.failed_shard_count,
    (
        select list({'layer': layers.layer, 'unit_count': layers.unit_count} order by layers.layer)
        from layers
        where layers.dataset = run_summary.dataset and layers.run_id = run_summary.run_id
    ) as layers,
    exists (
        select 1 from typographic_attacks as attacks
        where attacks.dataset = run_summary.dataset and attacks.run_id = run_summary.run_id
    ) as has_attacks,
    exists (
        select 1 from stroop_summary as cards
        where cards.dataset = run_summary.dataset and cards.run_id = run_summary.run_id
    ) as has_stroop,
from run_summary
inner join runs using (dataset, run_id)
"""

_CATEGORIES = """
select
    category, count(*) as neuron_count, count(distinct concept) as concept_count,
    list(concept order by score desc nulls last, concept)[:3] as concepts,
from neuron_labels
where dataset = $dataset and run_id = $run_id and is_labelled
group by category
order by neuron_count desc, category
"""

_LAYERS = """
select
    layer, count(*) as unit_count, count(*) filter (where is_labelled) as labelled_count,
    count(distinct concept) as concept_count,
from neuron_labels
where dataset = $dataset and run_id = $run_id
group by layer
order by layer
"""

_REASONS = """
select reason, count(*) as neuron_count
from neuron_labels
where dataset = $dataset and run_id = $run_id and not is_labelled
group by reason
order by neuron_count desc, reason
"""


def overview_page(view: View) -> str:
    """The page of the whole warehouse."""
    runs = view.ask(f"{_RUNS} order by dataset, run_id")
    datasets = view.ask(
        """
        select dataset, count(*) as shard_count,
            count(*) filter (where status = 'done') as done_count
        from shards
        group by dataset order by dataset
        """
    )
    return view.render("overview.html.j2", runs=runs, datasets=datasets)


def run_page(view: View, dataset: str, run_id: str) -> str:
    """The page of a run.

    Args:
        view: Asks and renders.
        dataset: Its dataset.
        run_id: Its id, or the beginning of it.

    Raises:
        WarehouseError: There is no such run.
    """
    run = find_run(view.connection, dataset, run_id)
    this = {"dataset": run.dataset, "run_id": run.run_id}
    (facts,) = view.ask(f"{_RUNS} where dataset = $dataset and run_id = $run_id", this)
    categories = view.ask(_CATEGORIES, this)
    return view.render(
        "run.html.j2",
        run=facts,
        categories=_with_shares(categories),
        reasons=_with_shares(view.ask(_REASONS, this)),
        layers=view.ask(_LAYERS, this),
        warnings=read_warnings(view.connection, run.dataset, run.run_id),
    )


def _with_shares(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with their share of the largest, for the length of a bar."""
    most = max((row["neuron_count"] for row in rows), default=1)
    return [{**row, "share": row["neuron_count"] / most} for row in rows]
