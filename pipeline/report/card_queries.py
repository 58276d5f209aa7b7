"""What the cards of neurons ask the views; `gather` makes cards of the answers.

A query asks of several units of a layer at once: to plan it takes DuckDB longer than to answer it. `LAYER` asks
of the layer. After ``unit`` the columns of an answer are the fields of a record of `card`, or of `card_rows`.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.warehouse.find import Neuron

# The bounds let DuckDB leave out what lies elsewhere; a list alone does not.
THESE = """
    dataset = $dataset and run_id = $run_id and layer = $layer
    and unit between list_min($units::integer[]) and list_max($units::integer[])
    and list_contains($units::integer[], unit)
"""
"""Where a row is of one of some neurons, given by `name_these`."""


def name_these(neurons: Sequence[Neuron]) -> dict[str, str | list[int]]:
    """The parameters of `THESE`.

    Args:
        neurons: At least one, all of one layer.
    """
    place = neurons[0]
    units = sorted({neuron.unit for neuron in neurons})
    return {
        "dataset": place.dataset,
        "run_id": place.run_id,
        "layer": place.layer,
        "units": units,
    }


LAYER = """
select
    layers.model_id, tower, store, is_cut, unit_count, is_random, coalesce(axis, 'sd') as axis,
    exists (
        select 1 from raw_soft_wpmi
        where raw_soft_wpmi.dataset = $dataset and raw_soft_wpmi.run_id = $run_id
    ) as has_similarity,
from layers
inner join runs using (dataset, run_id)
left join layer_axes using (dataset, run_id, layer)
where dataset = $dataset and run_id = $run_id and layer = $layer
"""

STATS = f"""
select
    unit, example_count, mean, sd, min, max, active_frac,
    round(zero_frac * example_count)::bigint as zero_count, skewness, kurtosis, sparsity,
from neuron_stats
where {THESE}
"""

LABEL = f"""
with tested as (
    select dataset, run_id, layer, unit, auroc, top_log10_p
    from label_candidates
    where {THESE} and is_choice
)

select
    unit, concept, category, origin, score, z, q_value, positive_count, top_count, top_size, lift,
    runner_up, runner_up_score, margin, agreement, enrichment_concept, auroc_concept,
    soft_wpmi_concept, is_labelled, is_circular, reason, tested.auroc as tested_score,
    10 ^ tested.top_log10_p as tested_p_value,
from neuron_labels
left join tested using (dataset, run_id, layer, unit)
where {THESE}
"""

SUPPORT = f"""
select
    unit, other_concept, supported_count, measured_count, fresh_forms, fresh_auc, other_fresh_auc,
    permuted_fresh_auc, fresh_mad, other_fresh_mad, permuted_fresh_mad, is_fresh_supported, purity,
    other_purity, permuted_purity, is_purity_supported, detection, other_detection,
    permuted_detection, is_detection_supported, prediction, other_prediction, permuted_prediction,
    is_prediction_supported, faithfulness, other_faithfulness, direction_faithfulness,
    is_faithfulness_supported, agreement, other_agreement, permuted_agreement,
    is_agreement_supported,
from label_evidence
where {THESE}
"""

_STRENGTH = "if($axis = 'z', activation_z, activation_sd) as strength, activation = 0 as is_at_rest"

EXAMPLES = f"""
select unit, polarity, example_id, {_STRENGTH}
from top_examples
where {THESE} and example_rank <= $count
order by unit, polarity, example_rank
"""

HISTOGRAM = f"""
select unit, bin_left, bin_right, example_count::bigint as example_count
from neuron_histograms
where {THESE} and bin <> 0
order by unit, bin_left
"""

SAMPLES = f"""
select unit, bin_left_sd as left_sd, bin_right_sd as right_sd, example_id, {_STRENGTH}
from neuron_samples
where {THESE} and sample_rank <= $count
order by unit, sd_bin, sample_rank
"""

INDICES = f"""
select
    unit, facet_origin, multimodality_index, p_value, facet_count, weakest_facet,
    coalesce(failed_facets, []) as failed_facets,
from neuron_multimodality
where {THESE} and candidate_rank = 1
order by unit, facet_origin desc
"""

CANDIDATE = f"""
select distinct unit, concept, category, origin
from neuron_facets
where {THESE} and candidate_rank = 1
"""

# Facets that the run has, but in which no image shows the concept, are rows of zero images.
STRATA = f"""
with these as (
    select
        unit, dimension, stratum as name, facet_origin, positive_count, other_count, auroc, p_value,
        is_failed, is_thin,
    from neuron_facets
    where {THESE} and candidate_rank = 1
),

surrogates as (
    select
        unit, dimension, stratum as name, facet_origin,
        list_aggregate(surrogate_aurocs, 'quantile_cont', 0.05)::double as surrogate_low,
        list_aggregate(surrogate_aurocs, 'quantile_cont', 0.95)::double as surrogate_high,
    from raw_facet_aurocs
    where {THESE} and candidate_rank = 1
),

of_run as (
    select distinct dimension, stratum as name, facet_origin
    from raw_facet_aurocs
    where dataset = $dataset and run_id = $run_id and dimension <> 'text language'
),

expected as (
    select unnest($units::integer[]) as unit, * from of_run
),

strata as (
    select
        unit, dimension, name, facet_origin,
        coalesce(positive_count, 0) as positive_count,
        coalesce(other_count, 0) as other_count,
        auroc, p_value, is_failed, coalesce(is_thin, true) as is_thin,
        surrogate_low, surrogate_high,
    from these
    left join surrogates using (unit, dimension, name, facet_origin)
    full join expected using (unit, dimension, name, facet_origin)
)

select *
from strata
order by
    unit, list_position(['facet', 'word language', 'text language'], dimension),
    facet_origin desc, auroc is null, positive_count desc, name
"""

PROBABILITIES = f"""
with asked as (
    select
        unit, origin as label_origin, category as label_category, concept as label_concept,
    from neuron_labels
    where {THESE}
)

select
    unit,
    case
        when origin = 'human' then concat(category, ' (', labeller, ')')
        else coalesce(concept, concat('any ', category))
    end as what,
    bin_left_sd as left_sd, bin_right_sd as right_sd, sample_count, hit_count, probability,
    probability_low as low, probability_high as high, origin = 'human' as is_human,
    category_count, activation_frac, overall_frac,
from conditional_activations
inner join asked using (unit)
where
    {THESE}
    and (
        origin = 'human'
        or (
            origin = label_origin and category = label_category
            and coalesce(concept = label_concept, true)
        )
    )
order by
    unit, is_human, concept is null,
    sum(hit_count) over (partition by unit, origin, labeller, concept, category) desc,
    category, concept, labeller, sd_bin
"""

CLARITY = f"""
select
    unit, clarity, baseline_clarity, clarity_sd, coalesce(group_count, 0) as group_count,
    polysemanticity,
from neuron_clarity
where {THESE}
"""

GROUPS = f"""
select
    unit, groups.group_size, groups.concept, groups.concept_count,
    list(examples.example_id order by examples.example_rank) as ids,
from neuron_groups as groups
inner join top_example_groups as examples using (dataset, run_id, layer, unit, group_rank)
where {THESE}
group by unit, groups.group_rank, groups.group_size, groups.concept, groups.concept_count
order by unit, groups.group_rank
"""

CONTRASTING = f"""
select unit, example_id, activation
from contrasting_examples
where {THESE} and contrast_rank <= $count
order by unit, contrast_rank
"""

SHOWING = f"""
with labels as (
    select unit, concept, category
    from neuron_labels
    where {THESE} and is_labelled
)

select unit, list(distinct example_id) as ids
from run_concepts
inner join labels using (concept, category)
cross join settings
where
    dataset = $dataset and run_id = $run_id and list_contains(label_origins, origin)
    and example_id in (select unnest($ids::bigint[]))
group by unit
"""
"""Which of some images show the label of which unit."""
