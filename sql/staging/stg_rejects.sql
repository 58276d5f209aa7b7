-- view:    stg_rejects
-- grain:   one row per rejected sample, and one per failed shard
-- key:     none
-- reads:   raw_rejects, raw_run_rejects
-- purpose: What the ingest and the runs could not use.
--
-- column         type     unit         meaning
-- dataset        varchar               name of the dataset
-- run_id         varchar               the run, or null for the ingest
-- shard_ordinal  integer  ordinal 0..  which shard of the dataset
-- position       integer  index 0..    place in the shard; null: the whole shard
-- shard_key      varchar               WebDataset key; null: the whole shard
-- stage          varchar               source, index, decode, text, forward or shard
-- reason         varchar               a word to count by
-- detail         varchar               what was seen
select
    raw_rejects.dataset,
    null::varchar as run_id,
    raw_rejects.shard_ordinal,
    raw_rejects.position,
    raw_rejects.shard_key,
    raw_rejects.stage,
    raw_rejects.reason,
    raw_rejects.detail,
from raw_rejects

union all by name

select
    raw_run_rejects.dataset,
    raw_run_rejects.run_id,
    raw_run_rejects.shard_ordinal,
    raw_run_rejects.position,
    raw_run_rejects.shard_key,
    raw_run_rejects.stage,
    raw_run_rejects.reason,
    raw_run_rejects.detail,
from raw_run_rejects;
