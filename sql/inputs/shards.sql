-- view:    shards
-- grain:   one row per shard of a dataset
-- key:     dataset, shard_ordinal
-- reads:   stg_shards
-- purpose: The shards of each dataset and how their ingest ended.
--
-- A shard is unmarked while its repeated images are not found yet, as after an ingest
-- that was killed: nothing of it is visible until the same ingest has run to its end.
--
-- column  type  unit  meaning
-- dataset, source, shard_ordinal, shard, url, shard_bytes, status, error, read_count,
-- written_count, rejected_count
select
    dataset, source, shard_ordinal, shard, url, shard_bytes, status, error, read_count,
    written_count, rejected_count,
from stg_shards;
