"""Where everything begins: the runs of the warehouse, and a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pipeline.report.gather_report import read_warnings
from pipeline.warehouse.find import find_run

if TYPE_CHECKING:
    from pipeline.web.view import View


class LayerSize(NamedTuple):
    """A layer of a run."""

    layer: str
    unit_count: int


@dataclass(frozen=True)
class RunFigures:
    """A run on one tile, as `run_summary` says it."""

    dataset: str
    run_id: str
    model_id: str
    is_random: bool
    neuron_count: int
    labelled_count: int
    permuted_count: float | None
    label_score: float | None
    constant_score: float | None
    tested_count: int
    multimodal_90_count: int
    permuted_90_count: float | None
    untrained_90_count: float | None
    image_count: int
    concept_image_count: int
    rejected_count: int
    failed_shard_count: int
    pending_shard_count: int
    layers: Sequence[LayerSize]
    has_attacks: bool
    has_stroop: bool


class Counted(NamedTuple):
    """Neurons that have something in common."""

    name: str
    neuron_count: int
    share: float
    """Of the largest of such counts: the length of a bar."""
    concept_count: int = 0
    concepts: Sequence[str] = ()
    """The first of them, best first."""


class LayerFigures(NamedTuple):
    """A layer in the table of a run."""

    layer: str
    unit_count: int
    labelled_count: int
    concept_count: int


RUNS = """
select
    run_summary.dataset, run_summary.run_id, run_summary.model_id, run_summary.is_random,
    neuron_count, labelled_count, permuted_count, label_score, constant_score, tested_count,
    multimodal_90_count, permuted_90_count, untrained_90_count, image_count, concept_image_count,
    run_summary.rejected_count, runs.failed_shard_count, runs.pending_shard_count,
    (
        select list({'layer': layers.layer, 'unit_count': layers.unit_count} order by layers.layer)
        from layers
        where layers.dataset = run_summary.dataset and layers.run_id = run_summary.run_id
    ) as layers,
    exists (
        select 1 from class_sets as sets
        inner join stg_stimuli using (dataset)
        where
            sets.dataset = run_summary.dataset and sets.run_id = run_summary.run_id
            and stg_stimuli.attack_text is not null
    ) as has_attacks,
    exists (
        select 1 from class_sets as sets
        inner join stg_stimuli using (dataset)
        where
            sets.dataset = run_summary.dataset and sets.run_id = run_summary.run_id
            and stg_stimuli.ink_name is not null
    ) as has_stroop,
from run_summary
inner join runs using (dataset, run_id)
"""

_CATEGORIES = """
select
    category as name, count(*) as neuron_count,
    count(*) / max(count(*)) over () as share, count(distinct concept) as concept_count,
    list(distinct concept order by concept)[:3] as concepts,
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
select reason as name, count(*) as neuron_count, count(*) / max(count(*)) over () as share,
from neuron_labels
where dataset = $dataset and run_id = $run_id and not is_labelled
group by reason
order by neuron_count desc, reason
"""


def overview_page(view: View) -> str:
    """The page of the whole warehouse."""
    runs = [
        run
        for run in view.ask(f"{RUNS} order by all", RunFigures)
        if view.links.has_run(run.dataset, run.run_id)
    ]
    datasets = sorted({run.dataset for run in runs})
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
    (facts,) = view.ask(
        f"{RUNS} where run_summary.dataset = $dataset and run_summary.run_id = $run_id",
        RunFigures,
        **this,
    )
    return view.render(
        "run.html.j2",
        run=facts,
        categories=view.ask(_CATEGORIES, Counted, **this),
        reasons=view.ask(_REASONS, Counted, **this),
        layers=view.ask(_LAYERS, LayerFigures, **this),
        warnings=read_warnings(view.connection, run.dataset, run.run_id),
    )
