-- view:    warn_shards
-- grain:   one row per shard that is not usable
-- key:     dataset, run_id, shard_ordinal
-- reads:   stg_shards, stg_run_shards
-- purpose: Shards that failed or are still to do: what is asked of a warehouse lacks
--          them.
--
-- column  type     unit  meaning
-- dataset
-- run_id  varchar        the run, or null for the ingest
-- shard_ordinal, status, error
select
    dataset, null::varchar as run_id, shard_ordinal, status, error,
from stg_shards
where status <> 'done'
union all
select
    dataset, run_id, shard_ordinal, status, error,
from stg_run_shards
where status <> 'done';
