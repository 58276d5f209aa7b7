-- view:    neuron_labels
-- grain:   one row per (run_id, layer, unit), for every unit of every layer
-- key:     dataset, run_id, layer, unit
-- reads:   stg_layers, top_examples, neuron_concepts, label_candidates, raw_soft_wpmi,
--          settings
-- purpose: The concept that each neuron stands for, with the evidence; or why none.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030; Quiroga et al. 2005,
--          doi:10.1038/nature03687 (screening and testing)
--
-- On the screening half one concept is chosen (label_candidates). On the testing half
-- that one pair is tested: is it enriched there too? q is Benjamini and Hochberg's
-- over the neurons of the run that have a choice, from the hypergeometric p; the
-- neuron is labelled if q is at most label_max_q. (The p of z would miss a neuron that
-- answers to one form of a concept only, and label more that merely lean towards one.)
-- Concepts count by the word of the label_origins: not by the model's own similarity,
-- unless that is asked for. A neuron without a label says why: 'no activity' (no top
-- example), 'no concept in top examples' (screening), 'no concept stands out' (none can
-- be chosen, so none was tested), 'not significant' (the choice failed its test), or
-- 'circular': it would have a label, but its layer is of a text tower, which read the
-- very texts that tell the concept. Circular choices are corrected among themselves,
-- so they make no other q smaller; enrichment_concept says what was chosen. Only
-- excitation gives labels; inhibition stands in neuron_concepts. AUROC and soft-WPMI
-- count in agreement only where they choose: whose best concept is less than 0.001 nats
-- (of the p of z; of soft-WPMI, which saturates at the logarithm of the number of
-- neurons) ahead of the next name has chosen none.
--
-- column              type     unit       meaning
-- dataset             varchar             name of the dataset
-- model_id            varchar             architecture:pretrained
-- run_id              varchar             the run
-- layer               varchar             module path, point and pooling
-- unit                integer  index 0..  position of the neuron inside its layer
-- concept             varchar             the label; null if unlabelled
-- category            varchar             family of the label; null if unlabelled
-- origin              varchar             whose word it is: texts, stimulus, similarity
-- score               double   0..1       AUROC on the testing half: how often an image
--                                        that shows the label excites the neuron more
--                                        than one that does not; 0.5 is chance
-- z                   double   SD         its Mann-Whitney z
-- q_value             double   0..1       believe all labels with a q up to this one's,
--                                        and about this share of them is false
-- positive_count      bigint   count      testing images that show it
-- top_count           bigint   count      of the top examples, those that show it
-- top_size            bigint   count      testing: examples at the top of the neuron
-- lift                double   ratio      how much more frequent it is at the top
-- runner_up           varchar             next best concept; null if there is none
-- runner_up_score     double   0..1       its AUROC on the testing half
-- margin              double   -1..1      score - runner_up_score; null if none
-- agreement           bigint   1..3       how many of three methods chose the label on
--                                        the screening half; enrichment always did
-- enrichment_concept  varchar             choice by enrichment in the top examples
-- auroc_concept       varchar             choice by screening_z over all, or null
-- soft_wpmi_concept   varchar             choice by soft-WPMI over all prompts, or null
-- is_labelled         boolean             whether the neuron has a label
-- is_circular         boolean             significant, but told by the texts it read
-- reason              varchar             null if labelled; else as told above
with

settings as (
    select
        settings.label_top_k,
        settings.label_max_q,
        settings.label_origins,
    from settings
),

units as (
    select
        stg_layers.dataset,
        stg_layers.model_id,
        stg_layers.run_id,
        stg_layers.layer,
        unnest(range(stg_layers.unit_count))::integer as unit,
    from stg_layers
),

active as (
    select distinct
        top_examples.dataset,
        top_examples.run_id,
        top_examples.layer,
        top_examples.unit,
    from top_examples
    cross join settings
    where
        top_examples.polarity = 'positive'
        and top_examples.example_rank <= settings.label_top_k
        and top_examples.activation <> 0
),

choices as (
    select
        label_candidates.dataset,
        label_candidates.run_id,
        label_candidates.layer,
        label_candidates.unit,
        label_candidates.concept,
        label_candidates.category,
        label_candidates.origin,
        label_candidates.auroc,
        label_candidates.z,
        label_candidates.positive_count,
        label_candidates.top_count,
        label_candidates.top_size,
        label_candidates.lift,
        10 ^ label_candidates.top_log10_p as p_value,
        is_circular(stg_layers.tower, label_candidates.origin) as is_circular,
    from label_candidates
    inner join stg_layers
        on
            label_candidates.dataset = stg_layers.dataset
            and label_candidates.run_id = stg_layers.run_id
            and label_candidates.layer = stg_layers.layer
    where label_candidates.is_choice
),

ranked as (
    select
        choices.dataset,
        choices.run_id,
        choices.layer,
        choices.unit,
        choices.p_value,
        choices.is_circular,
        choices.p_value * count(*) over all_choices / count(*) over smaller as raw_q,
    from choices
    window
        all_choices as (
            partition by choices.dataset, choices.run_id, choices.is_circular
        ),
        smaller as (
            partition by choices.dataset, choices.run_id, choices.is_circular
            order by choices.p_value asc
        )
),

corrected as (
    select
        ranked.dataset,
        ranked.run_id,
        ranked.layer,
        ranked.unit,
        least(1.0, min(ranked.raw_q) over larger) as q_value,
    from ranked
    window
        larger as (
            partition by ranked.dataset, ranked.run_id, ranked.is_circular
            order by ranked.p_value desc
        )
),

runners_up as (
    -- The best other name: one word may stand in two categories.
    select
        label_candidates.dataset,
        label_candidates.run_id,
        label_candidates.layer,
        label_candidates.unit,
        arg_min(label_candidates.concept, label_candidates.candidate_rank) as runner_up,
        arg_min(label_candidates.auroc, label_candidates.candidate_rank)
            as runner_up_score,
    from label_candidates
    inner join choices
        on
            label_candidates.dataset = choices.dataset
            and label_candidates.run_id = choices.run_id
            and label_candidates.layer = choices.layer
            and label_candidates.unit = choices.unit
    where label_candidates.concept <> choices.concept
    group by
        label_candidates.dataset,
        label_candidates.run_id,
        label_candidates.layer,
        label_candidates.unit
),

by_auroc as (
    -- By name: one word may stand in two categories.
    select
        best_of_names.dataset,
        best_of_names.run_id,
        best_of_names.layer,
        best_of_names.unit,
        decided_concept(
            arg_min(
                best_of_names.concept,
                (-best_of_names.z, -best_of_names.auroc, best_of_names.concept)
            ),
            min(normal_log_tail(greatest(best_of_names.z, 0.0)), 2)
        ) as concept,
    from (
        select
            neuron_concepts.dataset,
            neuron_concepts.run_id,
            neuron_concepts.layer,
            neuron_concepts.unit,
            neuron_concepts.concept,
            max(neuron_concepts.screening_z) as z,
            max(neuron_concepts.screening_auroc) as auroc,
        from neuron_concepts
        cross join settings
        where
            neuron_concepts.screening_z is not null
            and list_contains(settings.label_origins, neuron_concepts.origin)
        group by
            neuron_concepts.dataset,
            neuron_concepts.run_id,
            neuron_concepts.layer,
            neuron_concepts.unit,
            neuron_concepts.concept
    ) as best_of_names
    group by
        best_of_names.dataset,
        best_of_names.run_id,
        best_of_names.layer,
        best_of_names.unit
),

by_soft_wpmi as (
    select
        raw_soft_wpmi.dataset,
        raw_soft_wpmi.run_id,
        raw_soft_wpmi.layer,
        raw_soft_wpmi.unit::integer as unit,
        decided_concept(
            arg_min(
                raw_soft_wpmi.concept, (-raw_soft_wpmi.screening, raw_soft_wpmi.concept)
            ),
            min(-raw_soft_wpmi.screening::double, 2)
        ) as concept,
    from raw_soft_wpmi
    where raw_soft_wpmi.screening is not null
    group by
        raw_soft_wpmi.dataset,
        raw_soft_wpmi.run_id,
        raw_soft_wpmi.layer,
        raw_soft_wpmi.unit
),

evidence as (
    select
        units.dataset,
        units.model_id,
        units.run_id,
        units.layer,
        units.unit,
        choices.concept,
        choices.category,
        choices.origin,
        choices.auroc,
        choices.z,
        corrected.q_value,
        choices.positive_count,
        choices.top_count,
        choices.top_size,
        choices.lift,
        runners_up.runner_up,
        runners_up.runner_up_score,
        by_auroc.concept as auroc_concept,
        by_soft_wpmi.concept as soft_wpmi_concept,
        coalesce(
            corrected.q_value <= settings.label_max_q and not choices.is_circular,
            false
        ) as is_labelled,
        coalesce(
            corrected.q_value <= settings.label_max_q and choices.is_circular,
            false
        ) as is_circular,
        active.unit is not null as is_active,
        nearest.unit is not null as has_concepts,
    from units
    cross join settings
    left join active
        on
            units.dataset = active.dataset
            and units.run_id = active.run_id
            and units.layer = active.layer
            and units.unit = active.unit
    left join label_candidates as nearest
        on
            units.dataset = nearest.dataset
            and units.run_id = nearest.run_id
            and units.layer = nearest.layer
            and units.unit = nearest.unit
            and nearest.candidate_rank = 1
    left join choices
        on
            units.dataset = choices.dataset
            and units.run_id = choices.run_id
            and units.layer = choices.layer
            and units.unit = choices.unit
    left join corrected
        on
            units.dataset = corrected.dataset
            and units.run_id = corrected.run_id
            and units.layer = corrected.layer
            and units.unit = corrected.unit
    left join runners_up
        on
            units.dataset = runners_up.dataset
            and units.run_id = runners_up.run_id
            and units.layer = runners_up.layer
            and units.unit = runners_up.unit
    left join by_auroc
        on
            units.dataset = by_auroc.dataset
            and units.run_id = by_auroc.run_id
            and units.layer = by_auroc.layer
            and units.unit = by_auroc.unit
    left join by_soft_wpmi
        on
            units.dataset = by_soft_wpmi.dataset
            and units.run_id = by_soft_wpmi.run_id
            and units.layer = by_soft_wpmi.layer
            and units.unit = by_soft_wpmi.unit
)

select
    evidence.dataset,
    evidence.model_id,
    evidence.run_id,
    evidence.layer,
    evidence.unit,
    case when evidence.is_labelled then evidence.concept end as concept,
    case when evidence.is_labelled then evidence.category end as category,
    case when evidence.is_labelled then evidence.origin end as origin,
    case when evidence.is_labelled then evidence.auroc end as score,
    case when evidence.is_labelled then evidence.z end as z,
    case when evidence.is_labelled then evidence.q_value end as q_value,
    case when evidence.is_labelled then evidence.positive_count end as positive_count,
    case when evidence.is_labelled then evidence.top_count end as top_count,
    case when evidence.is_labelled then evidence.top_size end as top_size,
    case when evidence.is_labelled then evidence.lift end as lift,
    case when evidence.is_labelled then evidence.runner_up end as runner_up,
    case
        when evidence.is_labelled then evidence.runner_up_score
    end as runner_up_score,
    case
        when evidence.is_labelled then evidence.auroc - evidence.runner_up_score
    end as margin,
    case
        when evidence.is_labelled
            then 1
            + coalesce(evidence.auroc_concept = evidence.concept, false)::bigint
            + coalesce(evidence.soft_wpmi_concept = evidence.concept, false)::bigint
    end as agreement,
    evidence.concept as enrichment_concept,
    evidence.auroc_concept,
    evidence.soft_wpmi_concept,
    evidence.is_labelled,
    evidence.is_circular,
    case
        when evidence.is_labelled then null
        when evidence.is_circular then 'circular'
        when not evidence.is_active then 'no activity'
        when not evidence.has_concepts then 'no concept in top examples'
        when evidence.concept is null then 'no concept stands out'
        else 'not significant'
    end as reason,
from evidence;
