"""Everything that a run's report shows, asked of the views by SQL."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline.base.storage import Store
from pipeline.report.gather import Asker, planted_concept
from pipeline.report.thumbnails import Picture, read_pictures
from pipeline.warehouse.views import load_views

if TYPE_CHECKING:
    import duckdb

CONVINCING_COUNT, DOUBTFUL_COUNT = 12, 6
PICTURE_COUNT = 6
"""Top images of each neuron that is shown."""


@dataclass(frozen=True)
class ReportNeuron:
    """One neuron on the page: its label, the evidence, its top images."""

    layer: str
    unit: int
    concept: str
    category: str
    planted: str | None
    """What the embedded model was trained to have it stand for."""
    evidence: dict[str, Any]
    """score, q_value, runner_up, margin, agreement; index, weakest_facet, clarity or null."""
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class DoubtfulList:
    """Labelled neurons that are worst by one measure, worst first."""

    title: str
    neurons: tuple[ReportNeuron, ...]


@dataclass(frozen=True)
class Report:
    """One run."""

    dataset: str
    run_id: str
    run: dict[str, Any]
    """The row of ``runs``."""
    layers: tuple[dict[str, Any], ...]
    """layer, unit_count, labelled_count."""
    coverage: dict[str, Any]
    """The row of ``run_coverage``."""
    baselines: dict[str, Any]
    """The row of ``label_baselines``."""
    categories: tuple[tuple[str, int], ...]
    """Families of the labels and how many neurons, most first."""
    reasons: tuple[tuple[str, int], ...]
    """Why neurons have no label, most first."""
    multimodality: tuple[dict[str, Any], ...]
    """Rows of ``multimodality_summary``, all categories first."""
    convincing: tuple[ReportNeuron, ...]
    doubtful: tuple[DoubtfulList, ...]
    warnings: tuple[str, ...]
    neurons: tuple[dict[str, Any], ...]
    """Every neuron: layer, unit, concept, category, score, q_value, margin, agreement; why it has no label."""

    @property
    def shown(self) -> list[tuple[str, int]]:
        """Layer and unit of the neurons with images on the page, each once."""
        groups = [self.convincing, *(group.neurons for group in self.doubtful)]
        return list(dict.fromkeys((n.layer, n.unit) for group in groups for n in group))

    @property
    def neuron_count(self) -> int:
        """Neurons of all layers."""
        return sum(row["unit_count"] for row in self.layers)

    @property
    def labelled_count(self) -> int:
        """Of these, labelled."""
        return sum(row["labelled_count"] for row in self.layers)


_THIS = "dataset = $dataset and run_id = $run_id"

_LAYERS = f"""
select
    layer, count(*) as unit_count, count(*) filter (where is_labelled) as labelled_count,
    count(*) filter (where is_circular) as circular_count,
    count(distinct concept) as concept_count,
from neuron_labels
where {_THIS}
group by layer
order by layer
"""

_CATEGORIES = f"""
select category, count(*) as neuron_count
from neuron_labels
where {_THIS} and is_labelled
group by category
order by neuron_count desc, category
"""

_REASONS = f"""
select reason, count(*) as neuron_count
from neuron_labels
where {_THIS} and not is_labelled
group by reason
order by neuron_count desc, reason
"""

_NEURONS = f"""
select layer, unit, is_labelled, concept, category, score, q_value, margin, agreement, reason
from neuron_labels
where {_THIS}
order by layer, unit
"""

_MULTIMODALITY = f"""
select
    layer, facet_origin, category, neuron_count, tested_count, thin_count,
    multimodal_80_count, multimodal_90_count, multimodal_95_count,
    permuted_80_count, permuted_90_count, permuted_95_count,
    untrained_run_count, untrained_80_count, untrained_90_count, untrained_95_count,
from multimodality_summary
where {_THIS} and (tested_count > 0 or category = 'all')
order by layer, facet_origin desc, category <> 'all', multimodal_80_count desc, category
"""

# Forms that are known go before forms that are guessed.
_LABELLED = f"""
with tested as (
    select
        layer, unit,
        arg_max(multimodality_index, facet_origin = 'stimulus') as multimodality_index,
        arg_max(weakest_facet, facet_origin = 'stimulus') as weakest_facet,
        arg_max(facet_count, facet_origin = 'stimulus') as facet_count,
        arg_max(is_thin, facet_origin = 'stimulus') as is_thin,
    from neuron_multimodality
    where {_THIS} and is_label and multimodality_index is not null
    group by layer, unit
),

clear as (
    select layer, unit, clarity from neuron_clarity where {_THIS}
)

select
    layer, unit, concept, category, score, z, q_value, positive_count, runner_up,
    runner_up_score, margin, agreement, multimodality_index, weakest_facet, facet_count, is_thin, clarity,
from neuron_labels
left join tested using (layer, unit)
left join clear using (layer, unit)
where {_THIS} and is_labelled
"""

_CONVINCING = f"""
with labelled as ({_LABELLED})

from labelled
qualify
    row_number() over (
        partition by concept, category
        order by
            agreement desc, multimodality_index desc nulls last, score desc,
            clarity desc nulls last, layer, unit
    ) = 1
order by
    agreement desc, multimodality_index desc nulls last, score desc, clarity desc nulls last,
    layer, unit
limit $count
"""

_DOUBTFUL = {
    "Smallest AUROC": "score, layer, unit",
    "Smallest margin over the runner-up": "margin nulls last, layer, unit",
    "Weakest form (Halle Berry test)": "multimodality_index nulls last, layer, unit",
}
_MEASURES = {
    "Smallest AUROC": "score",
    "Smallest margin over the runner-up": "margin",
    "Weakest form (Halle Berry test)": "multimodality_index",
}

_TOP = f"""
with wanted as (
    select unnest($layers::varchar[]) as layer, unnest($units::integer[]) as unit
),

top as (
    select
        layer, unit, example_rank, example_id, axis,
        if(axis = 'z', activation_z, activation_sd) as strength,
    from top_examples
    inner join wanted using (layer, unit)
    inner join layer_axes using (dataset, run_id, layer)
    where {_THIS} and polarity = 'positive' and example_rank <= $count
),

showing as (
    select distinct layer, unit, example_id
    from top
    inner join neuron_labels using (layer, unit)
    inner join run_concepts using (dataset, run_id, example_id, concept, category)
    cross join settings
    where {_THIS} and list_contains(settings.label_origins, run_concepts.origin)
)

select
    layer, unit, example_id, strength, axis,
    (layer, unit, example_id) in (select (layer, unit, example_id) from showing) as is_labelled,
from top
order by layer, unit, example_rank
"""


def gather_report(
    connection: duckdb.DuckDBPyConnection, store: Store, dataset: str, run_id: str
) -> Report:
    """Ask the views for everything that a report shows.

    Args:
        connection: Of ``pipeline.connect``.
        store: The warehouse.
        dataset: Name of the dataset.
        run_id: The run.

    Raises:
        WarehouseError: A tar is gone, so there are no pictures.
    """
    ask = Asker(connection, {"dataset": dataset, "run_id": run_id})
    run = ask(f"from runs where {_THIS}")[0]
    lists = {"": ask(_CONVINCING, count=CONVINCING_COUNT)} | {
        title: [
            row
            for row in ask(
                f"with labelled as ({_LABELLED}) from labelled order by {order} limit $count",
                count=DOUBTFUL_COUNT,
            )
            if row[_MEASURES[title]] is not None
        ]
        for title, order in _DOUBTFUL.items()
    }
    tops = _top_pictures(ask, store, [row for rows in lists.values() for row in rows])
    neurons = {
        title: tuple(_neuron(row, run["model_id"], tops) for row in rows)
        for title, rows in lists.items()
    }
    coverage = ask(f"from run_coverage where {_THIS}")[0]
    baselines = ask(f"from label_baselines where {_THIS}")[0]
    return Report(
        dataset=dataset,
        run_id=run_id,
        run=run,
        layers=tuple(ask(_LAYERS)),
        coverage=coverage,
        baselines=baselines,
        categories=tuple((r["category"], r["neuron_count"]) for r in ask(_CATEGORIES)),
        reasons=tuple((r["reason"], r["neuron_count"]) for r in ask(_REASONS)),
        multimodality=tuple(ask(_MULTIMODALITY)),
        convincing=neurons.pop(""),
        doubtful=tuple(DoubtfulList(title, rows) for title, rows in neurons.items() if rows),
        warnings=tuple(_warnings(ask, run, coverage, baselines)),
        neurons=tuple(ask(_NEURONS)),
    )


def _top_pictures(
    ask: Asker, store: Store, rows: list[dict[str, Any]]
) -> dict[tuple[str, int], tuple[Picture, ...]]:
    neurons = sorted({(row["layer"], row["unit"]) for row in rows})
    found = ask(
        _TOP,
        layers=[layer for layer, _ in neurons],
        units=[unit for _, unit in neurons],
        count=PICTURE_COUNT,
    )
    ids = {row["example_id"] for row in found}
    pictures = read_pictures(ask.connection, store, ask.where["dataset"], ids)
    tops: dict[tuple[str, int], tuple[Picture, ...]] = {}
    for row in found:
        picture = replace(
            pictures[row["example_id"]],
            strength=row["strength"],
            axis=row["axis"],
            is_labelled=row["is_labelled"],
        )
        neuron = (row["layer"], row["unit"])
        tops[neuron] = (*tops.get(neuron, ()), picture)
    return tops


def _neuron(
    row: dict[str, Any], model_id: str, tops: dict[tuple[str, int], tuple[Picture, ...]]
) -> ReportNeuron:
    layer, unit = row["layer"], row["unit"]
    return ReportNeuron(
        layer=layer,
        unit=unit,
        concept=row["concept"],
        category=row["category"],
        planted=planted_concept(model_id, layer, unit),
        evidence=row,
        pictures=tops.get((layer, unit), ()),
    )


def _warnings(
    ask: Asker, run: dict[str, Any], coverage: dict[str, Any], baselines: dict[str, Any]
) -> list[str]:
    """Every ``warn_`` view that has a row of this run, and what makes its figures doubtful."""
    found = []
    for view in load_views():
        names = {column.name for column in view.columns}
        if view.name.startswith("warn_") and "dataset" in names:
            where = "dataset = $dataset"
            if "run_id" in names:
                where += " and coalesce(run_id = $run_id, true)"
            query = f"select count(*) as row_count from {view.name} where {where}"
            (row,) = Asker(
                ask.connection, {k: v for k, v in ask.where.items() if f"${k}" in where}
            )(query)
            if row["row_count"]:
                found.append(f"{view.purpose} ({view.name}: {row['row_count']})")
    if run["pending_shard_count"] or run["failed_shard_count"]:
        found.append(
            f"The run is not whole: {run['pending_shard_count']} shards are pending, "
            f"{run['failed_shard_count']} failed."
        )
    if not coverage["text_image_count"]:
        found.append("No image has any text, so texts name no concept.")
    permuted = baselines["permuted_frac"]
    if permuted is None and coverage["concept_image_count"]:
        found.append("Labels of permuted concepts were not counted: run neurons build.")
    elif permuted is not None and permuted > baselines["max_q"] * baselines["labelled_frac"]:
        found.append(
            f"{permuted:.1%} of the neurons are labelled when concepts are permuted; of these labels "
            f"q promises {baselines['max_q'] * baselines['labelled_frac']:.1%} of the neurons at most."
        )
    return found
