-- view:    stg_notices
-- grain:   one row per example and reason, and one per shard and reason for what has
--          no example
-- key:     none
-- reads:   raw_notices
-- purpose: What was left out of examples that are used, and files passed over.
--
-- column         type     unit         meaning
-- dataset        varchar               name of the dataset
-- shard_ordinal  integer  ordinal 0..  which shard of the dataset
-- position       integer  index 0..    place of the example in its shard; null: none
-- shard_key      varchar               the example's key; null: none
-- stage          varchar               source or index
-- reason         varchar               a word to count by
-- detail         varchar               what was seen
-- notice_count   bigint   count        how many texts or files the row tells of
select
    dataset, shard_ordinal, position, shard_key, stage, reason, detail, notice_count,
from raw_notices;
