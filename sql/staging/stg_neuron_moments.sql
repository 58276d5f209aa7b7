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
-- column         type    unit           meaning
-- dataset, run_id, layer, unit, example_count, duplicate_count, zero_count,
-- positive_count, activation_sum, activation_sum_sq, activation_min, activation_max
-- central_sum_2  double  model units^2  sum of squared deviations from the mean
-- central_sum_3  double  model units^3  sum of their cubes
-- central_sum_4  double  model units^4  sum of their fourth powers
-- positive_sum, positive_sum_sq
with

means as (
    select
        dataset, run_id, layer, unit,
        sum(activation_sum order by shard_ordinal) / nullif(sum(example_count), 0)
            as mean,
    from raw_shard_stats
    group by all
),

shards as (
    select
        raw_shard_stats.*,
        -- how far the shard's mean is from that of all; 0 for a shard without examples
        coalesce(activation_sum / nullif(example_count, 0) - mean, 0) as away,
    from raw_shard_stats
    inner join means using (dataset, run_id, layer, unit)
),

merged as (
    select
        dataset, run_id, layer, unit,
        sum(example_count)::bigint as example_count,
        sum(duplicate_count)::bigint as duplicate_count,
        sum(zero_count)::bigint as zero_count,
        sum(positive_count)::bigint as positive_count,
        sum(activation_sum order by shard_ordinal) as activation_sum,
        sum(activation_sum_sq order by shard_ordinal) as activation_sum_sq,
        min(activation_min) as activation_min,
        max(activation_max) as activation_max,
        count(*) = count(central_sum_2) as is_known,
        -- in order, since these sums round: the same answer every time, to the last bit
        sum(
            central_sum_2 + example_count * away ^ 2 order by shard_ordinal
        ) as central_sum_2,
        sum(
            central_sum_3
            + 3 * away * central_sum_2
            + example_count * away ^ 3
            order by shard_ordinal
        ) as central_sum_3,
        sum(
            central_sum_4
            + 4 * away * central_sum_3
            + 6 * away ^ 2 * central_sum_2
            + example_count * away ^ 4
            order by shard_ordinal
        ) as central_sum_4,
        sum(positive_sum order by shard_ordinal) as positive_sum,
        sum(positive_sum_sq order by shard_ordinal) as positive_sum_sq,
    from shards
    group by all
)

select
    dataset, run_id, layer, unit, example_count, duplicate_count, zero_count,
    positive_count, activation_sum, activation_sum_sq, activation_min, activation_max,
    case when is_known then central_sum_2 end as central_sum_2,
    case when is_known then central_sum_3 end as central_sum_3,
    case when is_known then central_sum_4 end as central_sum_4,
    case when is_known then positive_sum end as positive_sum,
    case when is_known then positive_sum_sq end as positive_sum_sq,
from merged;
