-- view:    check_samples
-- grain:   one row per neuron and shard whose samples do not add up
-- key:     dataset, run_id, layer, unit, shard_ordinal
-- reads:   raw_shard_samples, raw_shard_stats
-- purpose: Sampled bins that do not hold every distinct image of their shard once.
--
-- column         type     unit         meaning
-- dataset        varchar               name of the dataset
-- run_id         varchar               the run
-- layer          varchar               module path, point and pooling
-- unit           integer  index 0..    position of the neuron
-- shard_ordinal  integer  ordinal 0..  which shard
-- image_count    bigint   count        distinct images, as shard_stats says
-- binned_count   bigint   count        images in its bins
-- excess_count   bigint   count        samples beyond what their bins hold
with

bins as (
    select
        raw_shard_samples.dataset,
        raw_shard_samples.run_id,
        raw_shard_samples.layer,
        raw_shard_samples.unit,
        raw_shard_samples.shard_ordinal,
        raw_shard_samples.bin,
        max(raw_shard_samples.bin_example_count) as example_count,
        count(*) as sample_count,
    from raw_shard_samples
    group by all
),

neurons as (
    select
        bins.dataset,
        bins.run_id,
        bins.layer,
        bins.unit,
        bins.shard_ordinal,
        sum(bins.example_count)::bigint as binned_count,
        sum(greatest(bins.sample_count - bins.example_count, 0))::bigint
            as excess_count,
    from bins
    group by all
),

-- Runs made before samples were kept have none, and that is no error.
sampled_shards as (
    select distinct
        neurons.dataset,
        neurons.run_id,
        neurons.layer,
        neurons.shard_ordinal,
    from neurons
),

compared as (
    select
        raw_shard_stats.dataset,
        raw_shard_stats.run_id,
        raw_shard_stats.layer,
        raw_shard_stats.unit,
        raw_shard_stats.shard_ordinal,
        raw_shard_stats.example_count - raw_shard_stats.duplicate_count as image_count,
        coalesce(neurons.binned_count, 0) as binned_count,
        coalesce(neurons.excess_count, 0) as excess_count,
    from raw_shard_stats
    inner join sampled_shards
        on
            raw_shard_stats.dataset = sampled_shards.dataset
            and raw_shard_stats.run_id = sampled_shards.run_id
            and raw_shard_stats.layer = sampled_shards.layer
            and raw_shard_stats.shard_ordinal = sampled_shards.shard_ordinal
    left join neurons
        on
            raw_shard_stats.dataset = neurons.dataset
            and raw_shard_stats.run_id = neurons.run_id
            and raw_shard_stats.layer = neurons.layer
            and raw_shard_stats.unit = neurons.unit
            and raw_shard_stats.shard_ordinal = neurons.shard_ordinal
)

select
    compared.dataset,
    compared.run_id,
    compared.layer,
    compared.unit,
    compared.shard_ordinal,
    compared.image_count,
    compared.binned_count,
    compared.excess_count,
from compared
where compared.image_count <> compared.binned_count or compared.excess_count > 0;
