-- view:    stg_run_shards
-- grain:   one row per shard of a run
-- key:     dataset, run_id, shard_ordinal
-- reads:   raw_run_shards
-- purpose: How each shard of a run went.
--
-- column           type         unit         meaning
-- dataset          varchar                   name of the dataset
-- run_id           varchar                   the run
-- shard_ordinal    integer      ordinal 0..  which shard of the dataset
-- status           varchar                   done or failed
-- error            varchar                   why it failed
-- read_count       bigint       count        examples read
-- written_count    bigint       count        examples written
-- rejected_count   bigint       count        examples rejected
-- canonical_count  bigint       count        of these, no repeats
-- read_s           double       s            time to read, summed over threads
-- decode_s         double       s            time to decode, summed over threads
-- forward_s        double       s            time of the model
-- write_s          double       s            time to write
-- wall_s           double       s            time by the clock
-- file_bytes       bigint       bytes        size of all files
-- written_at       timestamptz  UTC          when it was committed
select
    dataset, run_id, shard_ordinal, status, error, read_count, written_count,
    rejected_count, canonical_count, read_s, decode_s, forward_s, write_s, wall_s,
    file_bytes, written_at,
from raw_run_shards;
