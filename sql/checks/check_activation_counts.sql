-- view:    check_activation_counts
-- grain:   one row per neuron whose stored activations are not all there
-- key:     dataset, run_id, layer, unit
-- reads:   raw_shard_stats, raw_activations, stg_layers
-- purpose: Neurons with more or fewer stored activations than their statistics say.
--
-- column          type    unit   meaning
-- dataset, run_id, layer, unit
-- expected_count  bigint  count  by the statistics
-- found_count     bigint  count  rows of activations
with

expected as (
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
)

select
    dataset, run_id, layer, unit,
    if(store = 'positive', positive_count, example_count) as expected_count,
    coalesce(row_count, 0) as found_count,
from expected
inner join stg_layers using (dataset, run_id, layer)
left join stored using (dataset, run_id, layer, unit)
where expected_count <> found_count;
