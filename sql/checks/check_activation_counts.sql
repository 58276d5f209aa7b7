-- view:    check_activation_counts
-- grain:   one row per neuron whose stored activations are not all there
-- key:     dataset, run_id, layer, unit
-- reads:   raw_shard_stats, raw_activations, stg_layers, stg_run_shards
-- purpose: Neurons with more or fewer stored activations than their statistics say.
--
-- As layers.store says. Where that is a share of each shard and the layer is rectified,
-- some shards may have fewer that are above zero: there it is only a violation to have
-- more than expected, or none at all.
--
-- column          type    unit   meaning
-- dataset, run_id, layer, unit
-- expected_count  bigint  count  by the statistics
-- found_count     bigint  count  rows of activations
with

shares as (
    select
        dataset, run_id, layer,
        sum(kept_count(store, written_count))::bigint as kept_count,
    from stg_layers
    inner join stg_run_shards using (dataset, run_id)
    where status = 'done' and starts_with(store, 'top:')
    group by all
),

counted as (
    select
        dataset, run_id, layer, unit,
        sum(example_count)::bigint as example_count,
        sum(positive_count)::bigint as positive_count,
    from raw_shard_stats
    group by all
),

stored as (
    select dataset, run_id, layer, unit, count(*) as row_count,
    from raw_activations
    group by all
),

expected as (
    select
        counted.*,
        case
            when store = 'none' then 0
            when store = 'positive' then positive_count
            when store = 'all' then example_count
            when is_rectified then least(positive_count, kept_count)
            else kept_count
        end as expected_count,
        kept_count is not null and is_rectified as is_bound,
    from counted
    inner join stg_layers using (dataset, run_id, layer)
    left join shares using (dataset, run_id, layer)
)

select
    dataset, run_id, layer, unit, expected_count,
    coalesce(row_count, 0) as found_count,
from expected
left join stored using (dataset, run_id, layer, unit)
where
    found_count > expected_count
    or if(is_bound, found_count = 0, found_count < expected_count)
    and expected_count > 0;
