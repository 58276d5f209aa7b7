-- view:    stg_neuron_moments
-- grain:   one row per neuron
-- key:     dataset, run_id, layer, unit
-- reads:   raw_shard_stats
-- purpose: Moments of each neuron, merged over its shards.
--
-- column             type     unit           meaning
-- dataset            varchar                 name of the dataset
-- run_id             varchar                 the run
-- layer              varchar                 module path, point and pooling
-- unit               integer  index 0..      position of the neuron inside its layer
-- example_count      bigint   count          examples, repeated images included
-- duplicate_count    bigint   count          of these, repeated images
-- zero_count         bigint   count          activations that are exactly zero
-- positive_count     bigint   count          activations above zero
-- activation_sum     double   model units    sum of the activations
-- activation_sum_sq  double   model units^2  sum of their squares
-- activation_min     float    model units    smallest activation
-- activation_max     float    model units    largest activation
select
    raw_shard_stats.dataset,
    raw_shard_stats.run_id,
    raw_shard_stats.layer,
    raw_shard_stats.unit,
    sum(raw_shard_stats.example_count)::bigint as example_count,
    sum(raw_shard_stats.duplicate_count)::bigint as duplicate_count,
    sum(raw_shard_stats.zero_count)::bigint as zero_count,
    sum(raw_shard_stats.positive_count)::bigint as positive_count,
    sum(raw_shard_stats.activation_sum) as activation_sum,
    sum(raw_shard_stats.activation_sum_sq) as activation_sum_sq,
    min(raw_shard_stats.activation_min) as activation_min,
    max(raw_shard_stats.activation_max) as activation_max,
from raw_shard_stats
group by all;
