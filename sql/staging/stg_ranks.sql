-- view:    stg_ranks
-- grain:   one row per (neuron, distinct image) whose activation the run stores
-- key:     dataset, run_id, layer, unit, example_id
-- reads:   stg_activations, stg_run_examples, stg_examples
-- purpose: The rank of every stored activation within its half, compacted or not.
--
-- The rank is among the distinct images of the same half. Absent activations are zero
-- or below: they are tied at the bottom. In a compacted run the ranks are stored; in
-- others they are computed here, at the price of a sort.
--
-- column      type     unit         meaning
-- dataset     varchar               name of the dataset
-- run_id      varchar               the run
-- layer       varchar               module path, point and pooling
-- unit        integer  index 0..    position of the neuron inside its layer
-- example_id  bigint   id           the example
-- activation  float    model units  activation after pooling
-- rank2       bigint   2 x rank     twice the ascending mid-rank within the half
with

distinct_images as (
    select
        stg_run_examples.dataset,
        stg_run_examples.run_id,
        stg_run_examples.example_id,
        stg_examples.half,
        count(*) over (
            partition by
                stg_run_examples.dataset,
                stg_run_examples.run_id,
                stg_examples.half
        ) as half_size,
    from stg_run_examples
    inner join stg_examples
        on
            stg_run_examples.dataset = stg_examples.dataset
            and stg_run_examples.example_id = stg_examples.example_id
    where not stg_run_examples.is_duplicate
),

compacted as (
    select
        stg_activations.dataset,
        stg_activations.run_id,
        stg_activations.layer,
        stg_activations.unit,
        stg_activations.example_id,
        stg_activations.activation,
        stg_activations.rank2,
    from stg_activations
    where stg_activations.is_ranked and stg_activations.rank2 is not null
),

others as (
    select
        stg_activations.dataset,
        stg_activations.run_id,
        stg_activations.layer,
        stg_activations.unit,
        stg_activations.example_id,
        stg_activations.activation,
        distinct_images.half_size,
        rank() over (
            partition by
                stg_activations.dataset,
                stg_activations.run_id,
                stg_activations.layer,
                stg_activations.unit,
                distinct_images.half
            order by stg_activations.activation desc
        ) as first_place,
        count(*) over (
            partition by
                stg_activations.dataset,
                stg_activations.run_id,
                stg_activations.layer,
                stg_activations.unit,
                distinct_images.half,
                stg_activations.activation
        ) as tie_count,
    from stg_activations
    inner join distinct_images
        on
            stg_activations.dataset = distinct_images.dataset
            and stg_activations.run_id = distinct_images.run_id
            and stg_activations.example_id = distinct_images.example_id
    where not stg_activations.is_ranked
)

select
    compacted.dataset,
    compacted.run_id,
    compacted.layer,
    compacted.unit,
    compacted.example_id,
    compacted.activation,
    compacted.rank2,
from compacted
union all
select
    others.dataset,
    others.run_id,
    others.layer,
    others.unit,
    others.example_id,
    others.activation,
    2 * (others.half_size + 1) - (2 * others.first_place + others.tie_count - 1)
        as rank2,
from others;
