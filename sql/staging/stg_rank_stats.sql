-- view:    stg_rank_stats
-- grain:   one row per (neuron, half) with a stored activation
-- key:     dataset, run_id, layer, unit, half
-- reads:   stg_value_counts, raw_compact_stats
-- purpose: What rank statistics need of each neuron beside the ranks.
--
-- column          type    unit         meaning
-- dataset, run_id, layer, unit, half
-- stored_count    bigint  count        stored activations of distinct images
-- tie_sum
-- activation_sum  double  model units  sum of these activations
select
    dataset, run_id, layer, unit::integer as unit, half, stored_count, tie_sum,
    activation_sum,
from raw_compact_stats
union all
select
    dataset, run_id, layer, unit, half,
    sum(example_count)::bigint as stored_count,
    sum(example_count::double ^ 3 - example_count) as tie_sum,
    sum(activation::double * example_count) as activation_sum,
from stg_value_counts
group by all;
