"""What a neuron's card asks the views; `gather` makes a card of the answers.

The columns of an answer are the fields of a record of `card`, or of `gather`.
"""

from __future__ import annotations

_THIS = "dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit"

STATS = f"""
select
    example_count, mean, sd, min, max, active_frac,
    (zero_frac * example_count + 0.5)::bigint as zero_count, skewness, kurtosis, sparsity,
from neuron_stats
where {_THIS}
"""

MODEL = f"""
select
    model_id,
    (
        select layers.tower from layers
        where layers.dataset = $dataset and layers.run_id = $run_id and layers.layer = $layer
    ) as tower,
    (
        select runs.is_random from runs
        where runs.dataset = $dataset and runs.run_id = $run_id
    ) as is_random,
from neuron_stats
where {_THIS}
"""

LABEL = """
select
    neuron_labels.concept, neuron_labels.category, neuron_labels.origin, neuron_labels.score,
    neuron_labels.z, neuron_labels.q_value, neuron_labels.positive_count,
    neuron_labels.top_count, neuron_labels.top_size, neuron_labels.lift, runner_up,
    runner_up_score, margin, agreement, enrichment_concept, auroc_concept, soft_wpmi_concept,
    is_labelled, is_circular, reason, tested.auroc as tested_score,
    10 ^ tested.top_log10_p as tested_p_value,
    exists (
        select 1 from raw_soft_wpmi
        where raw_soft_wpmi.dataset = $dataset and raw_soft_wpmi.run_id = $run_id
    ) as has_similarity,
    layers.store, layers.is_cut,
from neuron_labels
inner join layers
    on
        neuron_labels.dataset = layers.dataset and neuron_labels.run_id = layers.run_id
        and neuron_labels.layer = layers.layer
left join label_candidates as tested
    on
        neuron_labels.dataset = tested.dataset and neuron_labels.run_id = tested.run_id
        and neuron_labels.layer = tested.layer and neuron_labels.unit = tested.unit
        and tested.is_choice
where
    neuron_labels.dataset = $dataset and neuron_labels.run_id = $run_id
    and neuron_labels.layer = $layer and neuron_labels.unit = $unit
"""

SUPPORT = f"""
select
    other_concept, supported_count, measured_count, fresh_forms, fresh_auc, other_fresh_auc,
    permuted_fresh_auc, fresh_mad, other_fresh_mad, permuted_fresh_mad, is_fresh_supported, purity,
    other_purity, permuted_purity, is_purity_supported, detection, other_detection,
    permuted_detection, is_detection_supported, prediction, other_prediction, permuted_prediction,
    is_prediction_supported, faithfulness, other_faithfulness, direction_faithfulness,
    is_faithfulness_supported, agreement, other_agreement, permuted_agreement,
    is_agreement_supported,
from label_evidence
where {_THIS}
"""

_STRENGTH = "if($axis = 'z', activation_z, activation_sd) as strength, activation = 0 as is_at_rest"

EXAMPLES = f"""
select polarity, example_id, {_STRENGTH}
from top_examples
where {_THIS} and example_rank <= $count
order by polarity, example_rank
"""

HISTOGRAM = f"""
select
    (if(isfinite(bin_left) and not $is_cut, bin_left, greatest(bin_left, $min)) - $origin) / $sd
        as left_sd,
    (if(isfinite(bin_right) and not $is_cut, bin_right, least(bin_right, $max)) - $origin) / $sd
        as right_sd,
    example_count::bigint as example_count,
from neuron_histograms
where {_THIS} and bin <> 0
order by bin_left
"""

SAMPLES = f"""
select bin_left_sd as left_sd, bin_right_sd as right_sd, example_id, {_STRENGTH}
from neuron_samples
where {_THIS} and sample_rank <= $count
order by sd_bin, sample_rank
"""

INDICES = f"""
select
    facet_origin, multimodality_index, p_value, facet_count, weakest_facet,
    coalesce(failed_facets, []) as failed_facets,
from neuron_multimodality
where {_THIS} and candidate_rank = 1
order by facet_origin desc
"""

CANDIDATE = f"""
select distinct concept, category, origin from neuron_facets where {_THIS} and candidate_rank = 1
"""

# Facets that the run has, but in which no image shows the concept, are rows of zero images.
STRATA = f"""
with these as (
    select
        dimension, stratum as name, facet_origin, positive_count, other_count, auroc, p_value,
        is_failed, is_thin,
    from neuron_facets
    where {_THIS} and candidate_rank = 1
),

surrogates as (
    select
        dimension, stratum as name, facet_origin,
        list_aggregate(surrogate_aurocs, 'quantile_cont', 0.05)::double as surrogate_low,
        list_aggregate(surrogate_aurocs, 'quantile_cont', 0.95)::double as surrogate_high,
    from raw_facet_aurocs
    where {_THIS} and candidate_rank = 1
),

of_run as (
    select distinct dimension, stratum as name, facet_origin
    from raw_facet_aurocs
    where dataset = $dataset and run_id = $run_id and dimension <> 'text language'
)

select
    coalesce(these.dimension, of_run.dimension) as dimension,
    coalesce(these.name, of_run.name) as name,
    coalesce(these.facet_origin, of_run.facet_origin) as facet_origin,
    coalesce(positive_count, 0) as positive_count,
    coalesce(other_count, 0) as other_count,
    auroc, p_value, is_failed, coalesce(is_thin, true) as is_thin,
    surrogate_low, surrogate_high,
from these
left join surrogates using (dimension, name, facet_origin)
full join of_run
    on
        these.dimension = of_run.dimension and these.name = of_run.name
        and these.facet_origin = of_run.facet_origin
order by
    list_position(['facet', 'word language', 'text language'], dimension), facet_origin desc,
    auroc is null, positive_count desc, name
"""

PROBABILITIES = f"""
select
    case
        when origin = 'human' then concat(category, ' (', labeller, ')')
        else coalesce(concept, concat('any ', category))
    end as what,
    bin_left_sd as left_sd, bin_right_sd as right_sd, sample_count, hit_count, probability,
    probability_low as low, probability_high as high, origin = 'human' as is_human,
    category_count, activation_frac, overall_frac,
from conditional_activations
where
    {_THIS}
    and (
        origin = 'human'
        or (origin = $origin and category = $category and coalesce(concept = $concept, true))
    )
order by
    is_human, concept is null,
    sum(hit_count) over (partition by origin, labeller, concept, category) desc,
    category, concept, labeller, sd_bin
"""

CLARITY = f"""
select clarity, baseline_clarity, clarity_sd, coalesce(group_count, 0) as group_count, polysemanticity
from neuron_clarity
where {_THIS}
"""

GROUPS = f"""
select
    groups.group_size, groups.concept, groups.concept_count,
    list(examples.example_id order by examples.example_rank) as ids,
from neuron_groups as groups
inner join top_example_groups as examples using (dataset, run_id, layer, unit, group_rank)
where {_THIS}
group by groups.group_rank, groups.group_size, groups.concept, groups.concept_count
order by groups.group_rank
"""

CONTRASTING = f"""
select
    example_id, (activation - $origin) / nullif($sd, 0) as strength, activation = 0 as is_at_rest
from contrasting_examples
where {_THIS} and contrast_rank <= $count
order by contrast_rank
"""

SHOWING = """
select distinct example_id
from run_concepts, settings
where
    dataset = $dataset and run_id = $run_id and concept = $concept and category = $category
    and list_contains(label_origins, origin) and list_contains($ids::bigint[], example_id)
"""
