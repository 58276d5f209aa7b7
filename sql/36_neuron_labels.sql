-- view:    neuron_labels
-- grain:   one row per (run_id, layer, unit), for every unit of every layer
-- key:     dataset, run_id, layer, unit
-- reads:   stg_layers, top_examples, neuron_concepts, settings
-- purpose: The concept that each neuron stands for, or why it has none.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030
--
-- The label is the concept with the smallest p among those that at least
-- label_min_count of the top examples show, if its q is at most label_max_q; ties by
-- lift, then by name. A neuron without one is unlabelled: its columns are null and
-- reason says 'no activity' (no top example), 'no concept in top examples' or 'not
-- significant'; what came nearest stands in neuron_concepts. Only excitation (polarity
-- positive) gives labels.
--
-- column           type     unit       meaning
-- dataset          varchar             name of the dataset
-- model_id         varchar             architecture:pretrained
-- run_id           varchar             the run
-- layer            varchar             module path, point and pooling
-- unit             integer  index 0..  position of the neuron inside its layer
-- concept          varchar             the label; null if unlabelled
-- category         varchar             family of the label; null if unlabelled
-- score            double   -log10 p   strength of the evidence for the label
-- lift             double   ratio      how much more frequent it is at the top
-- q_value          double   0..1       false discovery rate of the label
-- top_count        bigint   count      top examples that show it
-- top_size         bigint   count      examples at the top of the neuron; 0 if none
-- runner_up        varchar             next best concept; null if there is none
-- runner_up_score  double   -log10 p   strength of the evidence for it
-- margin           double   -log10 p   score - runner_up_score; score if there is none
-- is_labelled      boolean             whether the neuron has a label
-- reason           varchar             null if labelled; else as told above
with

settings as (
    select
        settings.label_top_k,
        settings.label_max_q,
        settings.label_min_count
    from settings
),

units as (
    select
        stg_layers.dataset,
        stg_layers.model_id,
        stg_layers.run_id,
        stg_layers.layer,
        unnest(range(stg_layers.unit_count))::integer as unit
    from stg_layers
),

top_sizes as (
    select
        top_examples.dataset,
        top_examples.run_id,
        top_examples.layer,
        top_examples.unit,
        count(*) as top_size
    from top_examples
    cross join settings
    where
        top_examples.polarity = 'positive'
        and top_examples.example_rank <= settings.label_top_k
        and top_examples.activation <> 0
    group by
        top_examples.dataset,
        top_examples.run_id,
        top_examples.layer,
        top_examples.unit
),

candidates as materialized (
    select
        neuron_concepts.dataset,
        neuron_concepts.run_id,
        neuron_concepts.layer,
        neuron_concepts.unit,
        neuron_concepts.concept,
        neuron_concepts.category,
        - neuron_concepts.log10_p as score,
        neuron_concepts.lift,
        neuron_concepts.q_value,
        neuron_concepts.top_count,
        row_number() over (
            partition by
                neuron_concepts.dataset,
                neuron_concepts.run_id,
                neuron_concepts.layer,
                neuron_concepts.unit
            order by
                neuron_concepts.top_count >= settings.label_min_count desc,
                neuron_concepts.log10_p asc,
                neuron_concepts.lift desc,
                neuron_concepts.concept asc,
                neuron_concepts.category asc
        ) as candidate_rank
    from neuron_concepts
    cross join settings
    where neuron_concepts.polarity = 'positive'
),

best as (
    select
        candidates.dataset,
        candidates.run_id,
        candidates.layer,
        candidates.unit,
        candidates.concept,
        candidates.category,
        candidates.score,
        candidates.lift,
        candidates.q_value,
        candidates.top_count,
        candidates.q_value <= settings.label_max_q
        and candidates.top_count >= settings.label_min_count as is_labelled
    from candidates
    cross join settings
    where candidates.candidate_rank = 1
),

runners_up as (
    -- The best other name: one word may stand in two categories.
    select
        candidates.dataset,
        candidates.run_id,
        candidates.layer,
        candidates.unit,
        arg_min(candidates.concept, candidates.candidate_rank) as runner_up,
        arg_min(candidates.score, candidates.candidate_rank) as runner_up_score
    from candidates
    inner join best
        on
            candidates.dataset = best.dataset
            and candidates.run_id = best.run_id
            and candidates.layer = best.layer
            and candidates.unit = best.unit
    where candidates.concept <> best.concept
    group by
        candidates.dataset,
        candidates.run_id,
        candidates.layer,
        candidates.unit
),

labels as (
    select
        units.dataset,
        units.model_id,
        units.run_id,
        units.layer,
        units.unit,
        case when best.is_labelled then best.concept end as concept,
        case when best.is_labelled then best.category end as category,
        case when best.is_labelled then best.score end as score,
        case when best.is_labelled then best.lift end as lift,
        case when best.is_labelled then best.q_value end as q_value,
        case when best.is_labelled then best.top_count end as top_count,
        coalesce(top_sizes.top_size, 0) as top_size,
        case when best.is_labelled then runners_up.runner_up end as runner_up,
        case
            when best.is_labelled then runners_up.runner_up_score
        end as runner_up_score,
        case
            when best.is_labelled
                then best.score - coalesce(runners_up.runner_up_score, 0.0)
        end as margin,
        coalesce(best.is_labelled, false) as is_labelled,
        case
            when best.is_labelled then null
            when top_sizes.top_size is null then 'no activity'
            when best.concept is null then 'no concept in top examples'
            else 'not significant'
        end as reason
    from units
    left join top_sizes
        on
            units.dataset = top_sizes.dataset
            and units.run_id = top_sizes.run_id
            and units.layer = top_sizes.layer
            and units.unit = top_sizes.unit
    left join best
        on
            units.dataset = best.dataset
            and units.run_id = best.run_id
            and units.layer = best.layer
            and units.unit = best.unit
    left join runners_up
        on
            units.dataset = runners_up.dataset
            and units.run_id = runners_up.run_id
            and units.layer = runners_up.layer
            and units.unit = runners_up.unit
)

select
    labels.dataset,
    labels.model_id,
    labels.run_id,
    labels.layer,
    labels.unit,
    labels.concept,
    labels.category,
    labels.score,
    labels.lift,
    labels.q_value,
    labels.top_count,
    labels.top_size,
    labels.runner_up,
    labels.runner_up_score,
    labels.margin,
    labels.is_labelled,
    labels.reason
from labels;
