-- view:    check_counts
-- grain:   one row per count that does not add up
-- key:     what, dataset, run_id, shard_ordinal
-- reads:   stg_shards, stg_run_shards, raw_examples, raw_embeddings
-- purpose: Counts that do not reconcile from index to manifest to Parquet.
--
-- column          type     unit         meaning
-- what            varchar               which counts
-- dataset         varchar               name of the dataset
-- run_id          varchar               the run, or null for the ingest
-- shard_ordinal   integer  ordinal 0..  which shard
-- expected_count  bigint   count        what the manifest says
-- found_count     bigint   count        what there is
with

indexed as (
    select
        raw_examples.dataset,
        raw_examples.shard_ordinal,
        count(*) as row_count,
    from raw_examples
    group by raw_examples.dataset, raw_examples.shard_ordinal
),

processed as (
    select
        raw_embeddings.dataset,
        raw_embeddings.run_id,
        (raw_embeddings.example_id >> 20)::integer as shard_ordinal,
        count(*) as row_count,
    from raw_embeddings
    group by all
),

compared as (
    select
        'ingest: read = written + rejected' as what,
        stg_shards.dataset,
        null::varchar as run_id,
        stg_shards.shard_ordinal,
        stg_shards.read_count as expected_count,
        stg_shards.written_count + stg_shards.rejected_count as found_count,
    from stg_shards
    where stg_shards.status = 'done'

    union all

    select
        'ingest: examples in Parquet' as what,
        stg_shards.dataset,
        null::varchar as run_id,
        stg_shards.shard_ordinal,
        stg_shards.written_count as expected_count,
        coalesce(indexed.row_count, 0) as found_count,
    from stg_shards
    left join indexed
        on
            stg_shards.dataset = indexed.dataset
            and stg_shards.shard_ordinal = indexed.shard_ordinal
    where stg_shards.status = 'done'

    union all

    select
        'run: read = written + rejected' as what,
        stg_run_shards.dataset,
        stg_run_shards.run_id,
        stg_run_shards.shard_ordinal,
        stg_run_shards.read_count as expected_count,
        stg_run_shards.written_count + stg_run_shards.rejected_count as found_count,
    from stg_run_shards
    where stg_run_shards.status = 'done'

    union all

    select
        'run: every indexed example is read' as what,
        stg_run_shards.dataset,
        stg_run_shards.run_id,
        stg_run_shards.shard_ordinal,
        stg_shards.written_count as expected_count,
        stg_run_shards.read_count as found_count,
    from stg_run_shards
    inner join stg_shards
        on
            stg_run_shards.dataset = stg_shards.dataset
            and stg_run_shards.shard_ordinal = stg_shards.shard_ordinal
    where stg_run_shards.status = 'done'

    union all

    select
        'run: examples in Parquet' as what,
        stg_run_shards.dataset,
        stg_run_shards.run_id,
        stg_run_shards.shard_ordinal,
        stg_run_shards.written_count as expected_count,
        coalesce(processed.row_count, 0) as found_count,
    from stg_run_shards
    left join processed
        on
            stg_run_shards.dataset = processed.dataset
            and stg_run_shards.run_id = processed.run_id
            and stg_run_shards.shard_ordinal = processed.shard_ordinal
)

select
    compared.what,
    compared.dataset,
    compared.run_id,
    compared.shard_ordinal,
    compared.expected_count,
    compared.found_count,
from compared
where compared.expected_count <> compared.found_count;
