"""Everything that a run's report shows, asked of the views by SQL."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from pipeline.base.storage import Store
from pipeline.report.asking import Asker
from pipeline.report.gather import planted_concept
from pipeline.report.run_report import (
    Baselines,
    Coverage,
    DoubtfulList,
    Evidence,
    LayerFacts,
    Multimodality,
    NeuronFacts,
    Report,
    ReportNeuron,
    RunFacts,
)
from pipeline.report.thumbnails import Picture, read_pictures
from pipeline.warehouse.views import load_views

if TYPE_CHECKING:
    import duckdb

CONVINCING_COUNT, DOUBTFUL_COUNT = 12, 6
PICTURE_COUNT = 6
"""Top images of each neuron that is shown."""

_THIS = "dataset = $dataset and run_id = $run_id"

_RUN = f"""
select
    model_id, weights_sha256, is_random, preprocess, precision, shard_count, failed_shard_count,
    pending_shard_count, read_count, written_count, rejected_count, duplicate_count,
from runs
where {_THIS}
"""

_COVERAGE = f"""
select
    image_count, text_image_count, searched_image_count, concept_image_count, texts_image_count,
    stimulus_image_count, similarity_image_count, text_count, language_count, languages,
    rejected_count, lost_format_count, reject_reasons,
from run_coverage
where {_THIS}
"""

_BASELINES = f"""
select
    neuron_count, labelled_count, circular_count, labelled_frac, permuted_repeat_count, permuted_frac,
    max_q, chance_count, label_score, constant_concept, constant_score,
from label_baselines
where {_THIS}
"""

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
    layer, unit, concept, category, score, q_value, runner_up, margin, agreement,
    multimodality_index, weakest_facet, facet_count, is_thin, clarity,
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
    "Smallest AUROC": "score",
    "Smallest margin over the runner-up": "margin",
    "Weakest form (Halle Berry test)": "multimodality_index",
}

_WORST = f"""
with labelled as ({_LABELLED})

from labelled
where @@MEASURE@@ is not null
order by @@MEASURE@@, layer, unit
limit $count
"""

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
    (run,), (coverage,), (baselines,) = (
        ask(_RUN, RunFacts),
        ask(_COVERAGE, Coverage),
        ask(_BASELINES, Baselines),
    )
    convincing = ask(_CONVINCING, Evidence, count=CONVINCING_COUNT)
    doubtful = {
        title: ask(_WORST.replace("@@MEASURE@@", measure), Evidence, count=DOUBTFUL_COUNT)
        for title, measure in _DOUBTFUL.items()
    }
    tops = _top_pictures(ask, store, dataset, [*convincing, *chain(*doubtful.values())])

    def show(rows: list[Evidence]) -> tuple[ReportNeuron, ...]:
        return tuple(
            ReportNeuron(
                row,
                planted_concept(run.model_id, row.layer, row.unit),
                tuple(tops.get((row.layer, row.unit), ())),
            )
            for row in rows
        )

    return Report(
        dataset=dataset,
        run_id=run_id,
        run=run,
        layers=tuple(ask(_LAYERS, LayerFacts)),
        coverage=coverage,
        baselines=baselines,
        categories=_count(ask, _CATEGORIES),
        reasons=_count(ask, _REASONS),
        multimodality=tuple(ask(_MULTIMODALITY, Multimodality)),
        convincing=show(convincing),
        doubtful=tuple(DoubtfulList(title, show(rows)) for title, rows in doubtful.items() if rows),
        warnings=tuple(_warnings(ask, run, coverage, baselines)),
        neurons=tuple(ask(_NEURONS, NeuronFacts)),
    )


def _count(ask: Asker, query: str) -> tuple[tuple[str, int], ...]:
    return tuple(
        (name, count) for name, count in ask.connection.execute(query, ask.where).fetchall()
    )


def _top_pictures(
    ask: Asker, store: Store, dataset: str, rows: list[Evidence]
) -> dict[tuple[str, int], list[Picture]]:
    """The top images of neurons, best first."""
    neurons = sorted({(row.layer, row.unit) for row in rows})
    found = ask.connection.execute(
        _TOP,
        {
            **ask.where,
            "layers": [layer for layer, _ in neurons],
            "units": [unit for _, unit in neurons],
            "count": PICTURE_COUNT,
        },
    ).fetchall()
    pictures = read_pictures(ask.connection, store, dataset, {row[2] for row in found})
    tops: dict[tuple[str, int], list[Picture]] = {}
    for layer, unit, example_id, strength, axis, is_labelled in found:
        picture = replace(
            pictures[example_id], strength=strength, axis=axis, is_labelled=is_labelled
        )
        tops.setdefault((layer, unit), []).append(picture)
    return tops


def _warnings(ask: Asker, run: RunFacts, coverage: Coverage, baselines: Baselines) -> list[str]:
    """Every ``warn_`` view that has a row of this run, and what makes its figures doubtful."""
    found = []
    for view in load_views():
        names = {column.name for column in view.columns}
        if view.name.startswith("warn_") and "dataset" in names:
            where = "dataset = $dataset"
            if "run_id" in names:
                where += " and coalesce(run_id = $run_id, true)"
            values = {name: value for name, value in ask.where.items() if f"${name}" in where}
            ((count,),) = ask.connection.execute(
                f"select count(*) from {view.name} where {where}", values
            ).fetchall()
            if count:
                found.append(f"{view.purpose} ({view.name}: {count})")
    if run.pending_shard_count or run.failed_shard_count:
        found.append(
            f"The run is not whole: {run.pending_shard_count} shards are pending, "
            f"{run.failed_shard_count} failed."
        )
    if not coverage.text_image_count:
        found.append("No image has any text, so texts name no concept.")
    permuted, promised = baselines.permuted_frac, baselines.max_q * baselines.labelled_frac
    if permuted is None and coverage.concept_image_count:
        found.append("Labels of permuted concepts were not counted: run neurons build.")
    elif permuted is not None and permuted > promised:
        found.append(
            f"{permuted:.1%} of the neurons are labelled when concepts are permuted; of these labels "
            f"q promises {promised:.1%} of the neurons at most."
        )
    return found
