-- view:    stg_rejects
-- grain:   one row per rejected sample, and one per failed shard
-- key:     none
-- reads:   raw_rejects, raw_run_rejects
-- purpose: What the ingest and the runs could not use.
--
-- column  type     unit  meaning
-- dataset
-- run_id  varchar        the run, or null for the ingest
-- shard_ordinal, position, shard_key, stage, reason, detail
select
    dataset, null::varchar as run_id, shard_ordinal, position, shard_key, stage, reason,
    detail,
from raw_rejects
union all by name
select
    dataset, run_id, shard_ordinal, position, shard_key, stage, reason, detail,
from raw_run_rejects;
