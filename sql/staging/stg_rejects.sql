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
    dataset, null::varchar as run_id, shard_ordinal, position, shard_key, stage, reason,
    detail,
from raw_rejects
union all by name
select
    dataset, run_id, shard_ordinal, position, shard_key, stage, reason, detail,
from raw_run_rejects;
