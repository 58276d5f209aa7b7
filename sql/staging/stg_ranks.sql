-- view:    stg_ranks
-- grain:   one row per (neuron, distinct image) whose activation the run stores
-- key:     dataset, run_id, layer, unit, example_id
-- reads:   stg_activations, stg_run_examples, stg_examples, stg_layers
-- purpose: The rank of every stored activation within its half, compacted or not.
--
-- The rank is among the distinct images of the same half. Absent activations are zero
-- or below: they are tied at the bottom. So layers that keep a share alone (is_cut)
-- have no ranks. In a compacted run the ranks are stored; in others they are computed
-- here, at the price of a sort.
--
-- column  type    unit      meaning
-- dataset, run_id, layer, unit, example_id, activation
-- rank2   bigint  2 x rank  twice the ascending mid-rank within the half
with

distinct_images as (
    select
        *,
        count(*) over (partition by dataset, run_id, half) as half_size,
    from stg_run_examples
    inner join stg_examples using (dataset, example_id)
    where not is_duplicate
),

cut_layers as (
    select dataset, run_id, layer,
    from stg_layers
    where is_cut
),

others as (
    select
        stg_activations.*,
        half_size,
        rank() over (
            partition by dataset, run_id, layer, unit, half order by activation desc
        ) as first_place,
        count(*) over (
            partition by dataset, run_id, layer, unit, half, activation
        ) as tie_count,
    from stg_activations
    inner join distinct_images using (dataset, run_id, example_id)
    anti join cut_layers using (dataset, run_id, layer)
    where not is_ranked
)

select
    dataset, run_id, layer, unit, example_id, activation, rank2,
from stg_activations
where is_ranked and rank2 is not null
union all
select
    dataset, run_id, layer, unit, example_id, activation,
    2 * (half_size + 1) - (2 * first_place + tie_count - 1) as rank2,
from others;
