-- view:    check_counts
-- grain:   one row per count that does not add up
-- key:     what, dataset, run_id, shard_ordinal
-- reads:   stg_shards, stg_run_shards, raw_examples, raw_embeddings
-- purpose: Counts that do not reconcile from index to manifest to Parquet.
--
-- column          type     unit   meaning
-- what            varchar         which counts
-- dataset
-- run_id          varchar         the run, or null for the ingest
-- shard_ordinal
-- expected_count  bigint   count  what the manifest says
-- found_count     bigint   count  what there is
with

indexed as (
    select
        dataset, shard_ordinal,
        count(*) as row_count,
    from raw_examples
    group by all
),

processed as (
    select
        dataset, run_id,
        (example_id >> 20)::integer as shard_ordinal,
        count(*) as row_count,
    from raw_embeddings
    group by all
),

ingested as (
    select *
    from stg_shards
    where status = 'done'
),

extracted as (
    select *
    from stg_run_shards
    where status = 'done'
),

compared as (
    select
        'ingest: read = written + rejected' as what,
        dataset, null::varchar as run_id, shard_ordinal,
        read_count as expected_count,
        written_count + rejected_count as found_count,
    from ingested
    union all
    select
        'ingest: examples in Parquet' as what,
        dataset, null::varchar as run_id, shard_ordinal,
        written_count as expected_count,
        coalesce(row_count, 0) as found_count,
    from ingested
    left join indexed using (dataset, shard_ordinal)
    union all
    select
        'run: read = written + rejected' as what,
        dataset, run_id, shard_ordinal,
        read_count as expected_count,
        written_count + rejected_count as found_count,
    from extracted
    union all
    select
        'run: every indexed example is read' as what,
        dataset, run_id, shard_ordinal,
        stg_shards.written_count as expected_count,
        extracted.read_count as found_count,
    from extracted
    inner join stg_shards using (dataset, shard_ordinal)
    union all
    select
        'run: examples in Parquet' as what,
        dataset, run_id, shard_ordinal,
        written_count as expected_count,
        coalesce(row_count, 0) as found_count,
    from extracted
    left join processed using (dataset, run_id, shard_ordinal)
)

select
    what, dataset, run_id, shard_ordinal, expected_count, found_count,
from compared
where expected_count <> found_count;
