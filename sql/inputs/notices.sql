-- view:    notices
-- grain:   one row per example and reason, and one per shard and reason for what has
--          no example
-- key:     none
-- reads:   stg_notices, stg_shards
-- purpose: What was left out of examples that are used, such as a text that cannot be
--          read, and which files were passed over.
--
-- column      type     unit       meaning
-- dataset
-- example_id  bigint   id         the example; null: no example
-- shard, shard_ordinal
-- position    integer  index 0..  place of the example in its shard; null: none
-- shard_key   varchar             the example's key; null: none
-- stage       varchar             source or index
-- reason      varchar             a word to count by
-- detail      varchar             what was seen
-- notice_count
select
    dataset,
    (shard_ordinal::bigint << 20) + position as example_id,
    shard, shard_ordinal, position, shard_key, stage, reason, detail, notice_count,
from stg_notices
inner join stg_shards using (dataset, shard_ordinal);
