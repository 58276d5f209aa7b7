-- view:    neuron_groups
-- grain:   one row per neuron and group of its top examples
-- key:     dataset, run_id, layer, unit, group_rank
-- reads:   top_example_groups, example_concepts
-- purpose: What each group of a neuron's top examples shows.
--
-- The concept is the one that most examples of the group show by their texts, ties by
-- name; null if none shows any.
--
-- column            type     unit   meaning
-- dataset, model_id, run_id, layer, unit, group_rank
-- group_size        bigint   count  top examples in the group
-- first_example_id  bigint   id     the strongest of them
-- concept           varchar         what most of them show
-- category
-- concept_count     bigint   count  of the group's examples, those that show it
with

groups as (
    select
        dataset, model_id, run_id, layer, unit, group_rank,
        count(*) as group_size,
        arg_min(example_id, example_rank) as first_example_id,
    from top_example_groups
    group by all
),

shown as (
    select distinct
        dataset, example_id, concept, category,
    from example_concepts
),

counted as (
    select
        dataset, run_id, layer, unit, group_rank, concept, category,
        count(*) as concept_count,
    from top_example_groups
    inner join shown using (dataset, example_id)
    group by all
),

most as (
    select *
    from counted
    qualify
        row_number() over (
            partition by dataset, run_id, layer, unit, group_rank
            order by concept_count desc, concept asc, category asc
        ) = 1
)

select
    dataset, model_id, run_id, layer, unit, group_rank, group_size, first_example_id,
    concept, category, concept_count,
from groups
left join most using (dataset, run_id, layer, unit, group_rank);
