-- view:    neuron_groups
-- grain:   one row per neuron and group of its top examples
-- key:     dataset, run_id, layer, unit, group_rank
-- reads:   top_example_groups, example_concepts
-- purpose: What each group of a neuron's top examples shows.
--
-- The concept is the one that most examples of the group show by their texts, ties by
-- name; null if none shows any.
--
-- column             type     unit         meaning
-- dataset            varchar               name of the dataset
-- model_id           varchar               architecture:pretrained
-- run_id             varchar               the run
-- layer              varchar               module path, point and pooling
-- unit               integer  index 0..    position of the neuron inside its layer
-- group_rank         integer  rank 1..5    1 = largest group
-- group_size         bigint   count        top examples in the group
-- first_example_id   bigint   id           the strongest of them
-- concept            varchar               what most of them show
-- category           varchar               family that it belongs to
-- concept_count      bigint   count        of the group's examples, those that show it
with

groups as (
    select
        top_example_groups.dataset,
        top_example_groups.model_id,
        top_example_groups.run_id,
        top_example_groups.layer,
        top_example_groups.unit,
        top_example_groups.group_rank,
        count(*) as group_size,
        arg_min(
            top_example_groups.example_id,
            top_example_groups.example_rank
        ) as first_example_id,
    from top_example_groups
    group by
        top_example_groups.dataset,
        top_example_groups.model_id,
        top_example_groups.run_id,
        top_example_groups.layer,
        top_example_groups.unit,
        top_example_groups.group_rank
),

shown as (
    select distinct
        example_concepts.dataset,
        example_concepts.example_id,
        example_concepts.concept,
        example_concepts.category,
    from example_concepts
),

counted as (
    select
        top_example_groups.dataset,
        top_example_groups.run_id,
        top_example_groups.layer,
        top_example_groups.unit,
        top_example_groups.group_rank,
        shown.concept,
        shown.category,
        count(*) as concept_count,
    from top_example_groups
    inner join shown
        on
            top_example_groups.dataset = shown.dataset
            and top_example_groups.example_id = shown.example_id
    group by
        top_example_groups.dataset,
        top_example_groups.run_id,
        top_example_groups.layer,
        top_example_groups.unit,
        top_example_groups.group_rank,
        shown.concept,
        shown.category
),

most as (
    select
        counted.dataset,
        counted.run_id,
        counted.layer,
        counted.unit,
        counted.group_rank,
        counted.concept,
        counted.category,
        counted.concept_count,
    from counted
    qualify
        row_number() over (
            partition by
                counted.dataset,
                counted.run_id,
                counted.layer,
                counted.unit,
                counted.group_rank
            order by
                counted.concept_count desc,
                counted.concept asc,
                counted.category asc
        ) = 1
)

select
    groups.dataset,
    groups.model_id,
    groups.run_id,
    groups.layer,
    groups.unit,
    groups.group_rank,
    groups.group_size,
    groups.first_example_id,
    most.concept,
    most.category,
    most.concept_count,
from groups
left join most
    on
        groups.dataset = most.dataset
        and groups.run_id = most.run_id
        and groups.layer = most.layer
        and groups.unit = most.unit
        and groups.group_rank = most.group_rank;
