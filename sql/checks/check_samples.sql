-- view:    check_samples
-- grain:   one row per neuron and shard, or merge, whose samples do not add up
-- key:     dataset, run_id, layer, unit, shard_ordinal
-- reads:   raw_shard_samples, raw_merged_samples, raw_shard_stats
-- purpose: Sampled bins that do not hold every distinct image of their shard once.
--
-- column        type    unit   meaning
-- dataset, run_id, layer, unit, shard_ordinal
-- image_count   bigint  count  distinct images, as shard_stats says
-- binned_count  bigint  count  images in its bins
-- excess_count  bigint  count  samples beyond what their bins hold
with

bins as (
    select
        dataset, run_id, layer, unit, shard_ordinal, bin,
        max(bin_example_count) as example_count,
        count(*) as sample_count,
    from raw_shard_samples
    group by all
    union all by name
    select
        dataset, run_id, layer, unit, shard_ordinal, bin, is_lowest,
        max(bin_example_count) as example_count,
        count(*) as sample_count,
    from raw_merged_samples
    group by all
),

neurons as (
    select
        dataset, run_id, layer, unit, shard_ordinal,
        sum(example_count)::bigint as binned_count,
        sum(greatest(sample_count - example_count, 0))::bigint as excess_count,
    from bins
    group by all
)

-- Runs made before samples were kept have none, and that is no error.
select
    dataset, run_id, layer, unit, shard_ordinal,
    example_count - duplicate_count as image_count,
    coalesce(neurons.binned_count, 0) as binned_count,
    coalesce(neurons.excess_count, 0) as excess_count,
from raw_shard_stats
semi join neurons using (dataset, run_id, layer, shard_ordinal)
left join neurons using (dataset, run_id, layer, unit, shard_ordinal)
where
    image_count <> coalesce(neurons.binned_count, 0)
    or neurons.excess_count > 0;
