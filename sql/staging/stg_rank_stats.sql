-- view:    stg_rank_stats
-- grain:   one row per (neuron, half) with a stored activation
-- key:     dataset, run_id, layer, unit, half
-- reads:   stg_ranks, raw_compact_stats, stg_runs, stg_examples
-- purpose: What rank statistics need of each neuron beside the ranks.
--
-- column          type    unit         meaning
-- dataset, run_id, layer, unit, half
-- stored_count    bigint  count        stored activations of distinct images
-- tie_sum
-- activation_sum  double  model units  sum of these activations
with

others as (
    select
        dataset, run_id, layer, unit, half, rank2,
        count(*) as tie_count,
        sum(activation::double) as activation_sum,
    from stg_ranks
    inner join stg_runs using (dataset, run_id)
    inner join stg_examples using (dataset, example_id)
    where not is_compacted
    group by all
)

select
    dataset, run_id, layer, unit::integer as unit, half, stored_count, tie_sum,
    activation_sum,
from raw_compact_stats
union all
select
    dataset, run_id, layer, unit, half,
    sum(tie_count)::bigint as stored_count,
    sum(tie_count::double ^ 3 - tie_count) as tie_sum,
    sum(activation_sum) as activation_sum,
from others
group by all;
