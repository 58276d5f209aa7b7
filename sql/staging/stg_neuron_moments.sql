-- view:    stg_neuron_moments
-- grain:   one row per neuron
-- key:     dataset, run_id, layer, unit
-- reads:   raw_shard_stats, stg_runs
-- purpose: Moments of each neuron, merged over its shards.
-- cite:    Pebay 2008, SAND2008-6212 (central moments of a union)
--
-- The columns from central_sum_2 on are null if a shard of the neuron was written
-- before they were kept. Parts are added in the steps of merges: merge_width shards to
-- one, as many of these to one, once more, and then all (macro merge_moments).
--
-- column         type    unit           meaning
-- dataset, run_id, layer, unit, example_count, duplicate_count, zero_count,
-- positive_count, activation_sum, activation_sum_sq, activation_min, activation_max
-- central_sum_2  double  model units^2  sum of squared deviations from the mean
-- central_sum_3  double  model units^3  sum of their cubes
-- central_sum_4  double  model units^4  sum of their fourth powers
-- positive_sum, positive_sum_sq
with

shards as (
    select
        dataset, run_id, layer, unit,
        merge_width as width,
        part_of_row(
            shard_ordinal, example_count, duplicate_count, zero_count, positive_count,
            activation_sum, activation_sum_sq, activation_min, activation_max,
            central_sum_2, central_sum_3, central_sum_4, positive_sum, positive_sum_sq
        ) as part,
    from raw_shard_stats
    inner join stg_runs using (dataset, run_id)
),

groups_1 as (
    select
        dataset, run_id, layer, unit, width,
        part.shard_ordinal // width as place,
        list(part order by part.shard_ordinal) as parts,
        mean_of_parts(parts) as mean,
    from shards
    group by all
),

merges_1 as (
    select
        dataset, run_id, layer, unit, width,
        merge_moments(parts, mean) as part,
    from groups_1
),

groups_2 as (
    select
        dataset, run_id, layer, unit, width,
        part.shard_ordinal // (width ^ 2)::bigint as place,
        list(part order by part.shard_ordinal) as parts,
        mean_of_parts(parts) as mean,
    from merges_1
    group by all
),

merges_2 as (
    select
        dataset, run_id, layer, unit, width,
        merge_moments(parts, mean) as part,
    from groups_2
),

groups_3 as (
    select
        dataset, run_id, layer, unit, width,
        part.shard_ordinal // (width ^ 3)::bigint as place,
        list(part order by part.shard_ordinal) as parts,
        mean_of_parts(parts) as mean,
    from merges_2
    group by all
),

merges_3 as (
    select
        dataset, run_id, layer, unit, width,
        merge_moments(parts, mean) as part,
    from groups_3
),

neurons as (
    select
        dataset, run_id, layer, unit,
        list(part order by part.shard_ordinal) as parts,
        mean_of_parts(parts) as mean,
    from merges_3
    group by all
),

merged as (
    select
        dataset, run_id, layer, unit,
        merge_moments(parts, mean) as whole,
    from neurons
)

select
    dataset, run_id, layer, unit, whole.example_count, whole.duplicate_count,
    whole.zero_count, whole.positive_count, whole.activation_sum,
    whole.activation_sum_sq, whole.activation_min, whole.activation_max,
    whole.central_sum_2, whole.central_sum_3, whole.central_sum_4, whole.positive_sum,
    whole.positive_sum_sq,
from merged;
