-- view:    stg_shards
-- grain:   one row per shard of a dataset
-- key:     dataset, shard_ordinal
-- reads:   raw_shards
-- purpose: The registered shards and how their ingest ended.
--
-- column          type     unit         meaning
-- dataset         varchar               name of the dataset
-- source          varchar               which source it came from
-- shard_ordinal   integer  ordinal 0..  place in the dataset; never changes
-- shard           varchar               name of the tar
-- url             varchar               where the tar lies
-- shard_bytes     bigint   bytes        size of the tar
-- status          varchar               done, failed, unmarked or pending
-- error           varchar               why it failed
-- read_count      bigint   count        samples read
-- written_count   bigint   count        examples indexed
-- rejected_count  bigint   count        samples rejected
select
    raw_shards.dataset,
    raw_shards.source,
    raw_shards.shard_ordinal,
    raw_shards.shard,
    raw_shards.url,
    raw_shards.size_bytes as shard_bytes,
    raw_shards.status,
    raw_shards.error,
    raw_shards.read_count,
    raw_shards.written_count,
    raw_shards.rejected_count,
from raw_shards;
