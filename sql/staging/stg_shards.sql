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
    dataset, source, shard_ordinal, shard, url, size_bytes as shard_bytes, status,
    error, read_count, written_count, rejected_count,
from raw_shards;
