-- view:    stg_notices
-- grain:   one row per example and reason, and one per shard and reason for what has
--          no example
-- key:     none
-- reads:   raw_notices
-- purpose: What was left out of examples that are used, and files passed over.
--
-- column  type  unit  meaning
-- dataset, shard_ordinal, position, shard_key, stage, reason, detail, notice_count
select
    dataset, shard_ordinal, position, shard_key, stage, reason, detail, notice_count,
from raw_notices;
