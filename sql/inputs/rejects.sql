-- view:    rejects
-- grain:   one row per rejected sample, and one per failed shard
-- key:     none
-- reads:   stg_rejects, stg_shards
-- purpose: What could not be used, at which stage, and why.
--
-- column     type     unit       meaning
-- dataset, run_id, shard, shard_ordinal
-- position   integer  index 0..  place in the shard; null: the whole shard
-- shard_key  varchar             WebDataset key; null: the whole shard
-- stage      varchar             source, index, decode, text, forward or shard
-- reason     varchar             a word to count by
-- detail     varchar             what was seen
select
    dataset, run_id, shard, shard_ordinal, position, shard_key, stage, reason, detail,
from stg_rejects
inner join stg_shards using (dataset, shard_ordinal);
