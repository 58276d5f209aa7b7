"""What a run's report asks the views; `gather_report` makes a report of the answers.

The columns of most answers are the fields of a record of `run_report`.
"""

from __future__ import annotations

from pipeline.report.peaks import IN_IMAGE

_THIS = "dataset = $dataset and run_id = $run_id"

RUN = f"""
select
    model_id, weights_sha256, is_random, preprocess, precision, shard_count, failed_shard_count,
    pending_shard_count, read_count, written_count, rejected_count, duplicate_count,
from runs
where {_THIS}
"""

COVERAGE = f"""
select
    image_count, text_image_count, searched_image_count, concept_image_count, texts_image_count,
    stimulus_image_count, similarity_image_count, text_count, language_count, languages,
    rejected_count, lost_format_count, reject_reasons,
from run_coverage
where {_THIS}
"""

BASELINES = f"""
select
    neuron_count, labelled_count, circular_count, labelled_frac, permuted_repeat_count, permuted_frac,
    max_q, chance_count, label_score, constant_concept, constant_score,
from label_baselines
where {_THIS}
"""

LAYERS = f"""
select
    layer, count(*) as unit_count, count(*) filter (where is_labelled) as labelled_count,
    count(*) filter (where is_circular) as circular_count,
    count(distinct concept) as concept_count,
from neuron_labels
where {_THIS}
group by layer
order by layer
"""

CATEGORIES = f"""
select category, count(*) as neuron_count
from neuron_labels
where {_THIS} and is_labelled
group by category
order by neuron_count desc, category
"""

REASONS = f"""
select reason, count(*) as neuron_count
from neuron_labels
where {_THIS} and not is_labelled
group by reason
order by neuron_count desc, reason
"""

NEURONS = f"""
select
    layer, unit, is_labelled, concept, category, score, q_value, margin, agreement,
    supported_count, measured_count, reason,
from neuron_labels
where {_THIS}
order by layer, unit
"""

MULTIMODALITY = f"""
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
    supported_count, measured_count, multimodality_index, weakest_facet, facet_count, is_thin, clarity,
from neuron_labels
left join tested using (layer, unit)
left join clear using (layer, unit)
where {_THIS} and is_labelled
"""

CONVINCING = f"""
with labelled as ({_LABELLED}),

supported as (
    select *, if(measured_count > 0, supported_count, null) as support
    from labelled
)

select * exclude (support)
from supported
qualify
    row_number() over (
        partition by concept, category
        order by
            support desc nulls last, agreement desc, multimodality_index desc nulls last,
            score desc, if(score is null, q_value, 0), clarity desc nulls last, layer, unit
    ) = 1
order by
    support desc nulls last, agreement desc, multimodality_index desc nulls last, score desc,
    if(score is null, q_value, 0), clarity desc nulls last, layer, unit
limit $count
"""

DOUBTFUL = {
    "Supported by fewest independent scores": "if(measured_count > 0, supported_count, null)",
    "Smallest AUROC": "score",
    "Smallest margin over the runner-up": "margin",
    "Weakest form (Halle Berry test)": "multimodality_index",
}

WORST = f"""
with labelled as ({_LABELLED})

from labelled
where @@MEASURE@@ is not null
order by @@MEASURE@@, score, layer, unit
limit $count
"""

TOP = f"""
with wanted as (
    select unnest($layers::varchar[]) as layer, unnest($units::integer[]) as unit
),

top as (
    select
        layer, unit, example_rank, example_id, axis,
        if(axis = 'z', activation_z, activation_sd) as strength, {IN_IMAGE},
    from top_examples
    inner join wanted using (layer, unit)
    inner join layer_axes using (dataset, run_id, layer)
    inner join examples using (dataset, example_id)
    inner join stg_runs using (dataset, run_id)
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
    x_frac, y_frac,
from top
order by layer, unit, example_rank
"""
