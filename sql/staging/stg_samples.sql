-- view:    stg_samples
-- grain:   one row per neuron, stratum and sampled example
-- key:     dataset, run_id, layer, unit, bin, is_lowest, example_id
-- reads:   raw_shard_samples, raw_merged_samples
-- purpose: The samples of all shards of a run as one, merged before or not.
-- cite:    Cohen & Kaplan 2007, doi:10.1145/1281100.1281133 (bottom-k sketches)
--
-- A stratum is a bin, apart for the shards of which it was the lowest on its side of
-- zero: those told the octaves below it from none. It keeps the examples with the
-- smallest priorities: at most 120, and none beyond the smallest priority at which a
-- shard left one out. So a merge of merges is the merge of all.
--
-- column         type      unit     meaning
-- dataset, run_id, layer, unit
-- bin            smallint  index    sign and octave, as in shard_samples
-- is_lowest
-- image_count    bigint    count    images of the run in the stratum
-- example_id, activation, peak
-- priority       ubigint   0..2^32  the example's (macro sample_priority)
-- threshold      ubigint   0..2^32  below it the stratum lacks none; null: it is whole
with

shard_bins as (
    select
        dataset, run_id, layer, unit, shard_ordinal, bin,
        count(*) as sample_count,
        max(bin_example_count) as image_count,
        max(sample_priority(example_id)) as last_priority,
    from raw_shard_samples
    group by all
),

shard_strata as (
    select
        *,
        abs(bin) = min(abs(bin)) over (
            partition by dataset, run_id, layer, unit, shard_ordinal, sign(bin)
        ) as is_lowest,
    from shard_bins
),

merged_strata as (
    select
        dataset, run_id, layer, unit, shard_ordinal, bin, is_lowest,
        count(*) as sample_count,
        max(bin_example_count) as image_count,
        max(sample_priority(example_id)) as last_priority,
    from raw_merged_samples
    group by all
),

-- A shard left out nothing below the largest priority it kept, if anything at all.
strata as (
    select
        dataset, run_id, layer, unit, bin, is_lowest,
        sum(image_count)::bigint as image_count,
        min(last_priority) filter (where sample_count < image_count) as least_threshold,
    from (
        from shard_strata
        union all by name
        from merged_strata
    ) as parts
    group by all
),

members as (
    select
        dataset, run_id, layer, unit, bin, is_lowest, example_id, activation, peak,
        sample_priority(example_id) as priority,
    from raw_shard_samples
    inner join shard_strata using (dataset, run_id, layer, unit, shard_ordinal, bin)
    union all by name
    select
        dataset, run_id, layer, unit, bin, is_lowest, example_id, activation, peak,
        sample_priority(example_id) as priority,
    from raw_merged_samples
),

whole as (
    select members.*, image_count,
    from members
    inner join strata using (dataset, run_id, layer, unit, bin, is_lowest)
    where least_threshold is null or priority <= least_threshold
),

cuts as (
    select
        dataset, run_id, layer, unit, bin, is_lowest,
        count(*) as member_count,
        max(priority) as largest,
        min(priority, 120)[120] as last_priority,
    from whole
    group by all
)

select
    dataset, run_id, layer, unit, bin, is_lowest, image_count, example_id, activation,
    peak, priority,
    case
        when member_count < image_count or largest > last_priority
            then coalesce(last_priority, largest)
    end as threshold,
from whole
inner join cuts using (dataset, run_id, layer, unit, bin, is_lowest)
where last_priority is null or priority <= last_priority;
