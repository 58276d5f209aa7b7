-- view:    tested_labels
-- grain:   one row per (run_id, layer, unit), for every unit of every layer
-- key:     dataset, run_id, layer, unit
-- reads:   stg_layers, top_examples, neuron_concepts, label_candidates, raw_soft_wpmi,
--          settings
-- purpose: The concept that each neuron is labelled with, and its test; or why none.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030; Quiroga et al. 2005,
--          doi:10.1038/nature03687 (screening and testing)
--
-- The rule is told at neuron_labels, which shows the same beside what supports a label.
-- Here is what labels rest on alone, so that what measures them can ask for it.
--
-- column              type     unit   meaning
-- dataset, model_id, run_id, layer, unit
-- concept             varchar         the label; null if unlabelled
-- category            varchar         family of the label; null if unlabelled
-- origin              varchar         whose word it is: texts, stimulus, similarity
-- score               double   0..1   AUROC on the testing half: how often an image
--                                     that shows the label excites the neuron more than
--                                     one that does not; 0.5 is chance
-- z                   double   SD     its Mann-Whitney z
-- q_value             double   0..1   believe all labels with a q up to this one's, and
--                                     about this share of them is false
-- positive_count, top_count, top_size, lift
-- runner_up           varchar         next best concept; null if there is none
-- runner_up_score     double   0..1   its AUROC on the testing half
-- margin              double   -1..1  score - runner_up_score; null if none
-- agreement           bigint   1..3   how many of three methods chose the label on the
--                                     screening half; enrichment always did; null where
--                                     it alone was tested
-- enrichment_concept  varchar         choice by enrichment in the top examples
-- auroc_concept       varchar         choice by screening_z over all, or null
-- soft_wpmi_concept   varchar         choice by soft-WPMI over all prompts, or null
-- is_labelled         boolean         whether the neuron has a label
-- is_circular         boolean         significant, but told by the texts it read
-- reason              varchar         null if labelled; else as told above
with

units as (
    select *, unnest(range(unit_count))::integer as unit,
    from stg_layers
),

active as (
    select distinct dataset, run_id, layer, unit, true as is_active,
    from top_examples
    cross join settings
    where polarity = 'positive' and example_rank <= label_top_k and activation <> 0
),

-- Once: each mention of a view that is not built is planned again.
candidates as materialized (
    select *
    from label_candidates
),

nearest as (
    select dataset, run_id, layer, unit, true as has_concepts,
    from candidates
    where candidate_rank = 1
),

choices as (
    select
        candidates.*,
        10 ^ top_log10_p as p_value,
        is_circular(tower, origin) as is_circular,
        (dataset, run_id, is_circular(tower, origin)) as pool,
    from candidates
    inner join stg_layers using (dataset, run_id, layer)
    where is_choice
),

ranked as (
    select
        *,
        benjamini_hochberg_step(
            p_value, p_value, pool, 1, count(*) over (partition by pool)
        ) as step,
    from choices
),

corrected as materialized (
    select *, benjamini_hochberg_q(step, p_value, pool) as q_value,
    from ranked
),

verdicts as (
    select
        dataset, run_id, layer, unit,
        concept as enrichment_concept,
        q_value <= label_max_q and is_circular as is_told,
    from corrected
    cross join settings
),

runners_up as (
    -- The best other name: one word may stand in two categories.
    select
        dataset, run_id, layer, unit,
        arg_min(other.concept, other.candidate_rank) as runner_up,
        arg_min(other.auroc, other.candidate_rank) as runner_up_score,
    from candidates as other
    inner join choices using (dataset, run_id, layer, unit)
    where other.concept <> choices.concept
    group by all
),

labels as (
    select
        dataset, run_id, layer, unit, concept, category, origin, auroc as score, z,
        q_value, positive_count, top_count, top_size, lift, runner_up, runner_up_score,
        auroc - runner_up_score as margin,
        true as is_labelled,
    from corrected
    cross join settings
    left join runners_up using (dataset, run_id, layer, unit)
    where q_value <= label_max_q and not is_circular
),

names as (
    -- By name: one word may stand in two categories.
    select
        dataset, run_id, layer, unit, concept,
        max(screening_z) as z,
        max(screening_auroc) as auroc,
    from neuron_concepts
    cross join settings
    where screening_z is not null and list_contains(label_origins, origin)
    group by all
),

by_auroc as (
    select
        dataset, run_id, layer, unit,
        decided_concept(
            arg_min(concept, (-z, -auroc, concept)),
            min(normal_log_tail(greatest(z, 0.0)), 2)
        ) as auroc_concept,
    from names
    group by all
),

by_soft_wpmi as (
    select
        dataset, run_id, layer, unit,
        decided_concept(
            arg_min(concept, (-screening, concept)), min(-screening::double, 2)
        ) as soft_wpmi_concept,
    from raw_soft_wpmi
    where screening is not null
    group by all
),

evidence as (
    select
        * replace (
            coalesce(is_labelled, false) as is_labelled,
            coalesce(is_told, false) as is_told
        ),
    from units
    left join verdicts using (dataset, run_id, layer, unit)
    left join labels using (dataset, run_id, layer, unit)
    left join active using (dataset, run_id, layer, unit)
    left join nearest using (dataset, run_id, layer, unit)
    left join by_auroc using (dataset, run_id, layer, unit)
    left join by_soft_wpmi using (dataset, run_id, layer, unit)
)

select
    dataset, model_id, run_id, layer, unit, concept, category, origin, score, z,
    q_value, positive_count, top_count, top_size, lift, runner_up, runner_up_score,
    margin,
    case
        when is_labelled and not is_cut
            then
                1 + coalesce(auroc_concept = concept, false)::bigint
                + coalesce(soft_wpmi_concept = concept, false)::bigint
    end as agreement,
    enrichment_concept, auroc_concept, soft_wpmi_concept, is_labelled,
    is_told as is_circular,
    case
        when is_labelled then null
        when is_told then 'circular'
        when is_active is null then 'no activity'
        when has_concepts is null then 'no concept in top examples'
        when enrichment_concept is null then 'no concept stands out'
        else 'not significant'
    end as reason,
from evidence;
