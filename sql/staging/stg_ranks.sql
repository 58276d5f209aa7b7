-- view:    stg_ranks
-- grain:   one row per (neuron, distinct image) whose activation the run stores
-- key:     dataset, run_id, layer, unit, example_id
-- reads:   stg_activations, stg_value_counts, stg_run_examples, stg_examples
-- purpose: The rank of every stored activation within its half, compacted or not.
--
-- The rank is among the distinct images of the same half. Absent activations are zero
-- or below: they are tied at the bottom. So layers that keep a share alone (is_cut)
-- have no ranks. In a run compacted as one the ranks are stored; in others they follow
-- from how often each value occurs: a rank is a function of the value.
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

placed as (
    select
        *,
        sum(example_count) over (
            partition by dataset, run_id, layer, unit, half
            order by activation desc
            rows unbounded preceding
        ) as upto_count,
    from stg_value_counts
),

others as (
    select
        stg_activations.*,
        half_size, upto_count, example_count,
    from stg_activations
    inner join distinct_images using (dataset, run_id, example_id)
    inner join placed using (dataset, run_id, layer, unit, half, activation)
    where not is_ranked
)

select
    dataset, run_id, layer, unit, example_id, activation, rank2,
from stg_activations
where is_ranked and rank2 is not null
union all
select
    dataset, run_id, layer, unit, example_id, activation,
    -- of n images the m-th to upto-th strongest: 2 (n + 1) - (m + upto)
    (2 * half_size - 2 * upto_count + example_count + 1)::bigint as rank2,
from others;
