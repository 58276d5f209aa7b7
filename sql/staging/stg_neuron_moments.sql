-- view:    stg_neuron_moments
-- grain:   one row per neuron
-- key:     dataset, run_id, layer, unit
-- reads:   raw_shard_stats
-- purpose: Moments of each neuron, merged over its shards.
-- cite:    Pebay 2008, SAND2008-6212 (central moments of a union)
--
-- The columns from central_sum_2 on are null if a shard of the neuron was written
-- before they were kept.
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
-- central_sum_2      double   model units^2  sum of squared deviations from the mean
-- central_sum_3      double   model units^3  sum of their cubes
-- central_sum_4      double   model units^4  sum of their fourth powers
-- positive_sum       double   model units    sum of the activations above zero
-- positive_sum_sq    double   model units^2  sum of their squares
with

means as (
    select
        raw_shard_stats.dataset,
        raw_shard_stats.run_id,
        raw_shard_stats.layer,
        raw_shard_stats.unit,
        sum(raw_shard_stats.activation_sum order by raw_shard_stats.shard_ordinal)
        / nullif(sum(raw_shard_stats.example_count), 0) as mean,
    from raw_shard_stats
    group by all
),

shards as (
    select
        raw_shard_stats.dataset,
        raw_shard_stats.run_id,
        raw_shard_stats.layer,
        raw_shard_stats.unit,
        raw_shard_stats.shard_ordinal,
        raw_shard_stats.example_count,
        raw_shard_stats.duplicate_count,
        raw_shard_stats.zero_count,
        raw_shard_stats.positive_count,
        raw_shard_stats.activation_sum,
        raw_shard_stats.activation_sum_sq,
        raw_shard_stats.activation_min,
        raw_shard_stats.activation_max,
        raw_shard_stats.central_sum_2,
        raw_shard_stats.central_sum_3,
        raw_shard_stats.central_sum_4,
        raw_shard_stats.positive_sum,
        raw_shard_stats.positive_sum_sq,
        -- how far the shard's mean is from that of all; 0 for a shard without examples
        coalesce(
            raw_shard_stats.activation_sum / nullif(raw_shard_stats.example_count, 0)
            - means.mean,
            0
        ) as away,
    from raw_shard_stats
    inner join means
        on
            raw_shard_stats.dataset = means.dataset
            and raw_shard_stats.run_id = means.run_id
            and raw_shard_stats.layer = means.layer
            and raw_shard_stats.unit = means.unit
),

merged as (
    select
        shards.dataset,
        shards.run_id,
        shards.layer,
        shards.unit,
        sum(shards.example_count)::bigint as example_count,
        sum(shards.duplicate_count)::bigint as duplicate_count,
        sum(shards.zero_count)::bigint as zero_count,
        sum(shards.positive_count)::bigint as positive_count,
        sum(shards.activation_sum order by shards.shard_ordinal) as activation_sum,
        sum(shards.activation_sum_sq order by shards.shard_ordinal)
            as activation_sum_sq,
        min(shards.activation_min) as activation_min,
        max(shards.activation_max) as activation_max,
        count(*) = count(shards.central_sum_2) as is_known,
        -- in order, since these sums round: the same answer every time, to the last bit
        sum(
            shards.central_sum_2 + shards.example_count * shards.away ^ 2
            order by shards.shard_ordinal
        ) as central_sum_2,
        sum(
            shards.central_sum_3
            + 3 * shards.away * shards.central_sum_2
            + shards.example_count * shards.away ^ 3
            order by shards.shard_ordinal
        ) as central_sum_3,
        sum(
            shards.central_sum_4
            + 4 * shards.away * shards.central_sum_3
            + 6 * shards.away ^ 2 * shards.central_sum_2
            + shards.example_count * shards.away ^ 4
            order by shards.shard_ordinal
        ) as central_sum_4,
        sum(shards.positive_sum order by shards.shard_ordinal) as positive_sum,
        sum(shards.positive_sum_sq order by shards.shard_ordinal) as positive_sum_sq,
    from shards
    group by shards.dataset, shards.run_id, shards.layer, shards.unit
)

select
    merged.dataset,
    merged.run_id,
    merged.layer,
    merged.unit,
    merged.example_count,
    merged.duplicate_count,
    merged.zero_count,
    merged.positive_count,
    merged.activation_sum,
    merged.activation_sum_sq,
    merged.activation_min,
    merged.activation_max,
    case when merged.is_known then merged.central_sum_2 end as central_sum_2,
    case when merged.is_known then merged.central_sum_3 end as central_sum_3,
    case when merged.is_known then merged.central_sum_4 end as central_sum_4,
    case when merged.is_known then merged.positive_sum end as positive_sum,
    case when merged.is_known then merged.positive_sum_sq end as positive_sum_sq,
from merged;
