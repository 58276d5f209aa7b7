-- view:    runs
-- grain:   one row per run
-- key:     dataset, run_id
-- reads:   stg_runs, stg_run_shards, stg_shards
-- purpose: Every run: model, settings, how far it is and what it cost.
--
-- column               type    unit   meaning
-- dataset, run_id, model_id, weights_sha256, is_random, image_activation,
-- text_activation, image_height_px, image_width_px, image_mean, image_std,
-- interpolation, resize_mode, preprocess, precision, activation_dtype, top_k, layers,
-- versions, is_compacted, created_at
-- shard_count          bigint  count  shards that are done
-- failed_shard_count   bigint  count  shards that failed
-- pending_shard_count  bigint  count  shards of the dataset that are neither
-- read_count, written_count, rejected_count
-- duplicate_count      bigint  count  of these, repeats of an earlier image
-- read_s, decode_s, forward_s, write_s, wall_s, file_bytes
with

datasets as (
    select
        dataset,
        count(*) as dataset_shard_count,
    from stg_shards
    group by all
),

counts as (
    select
        dataset, run_id,
        count(*) filter (where status = 'done') as shard_count,
        count(*) filter (where status = 'failed') as failed_shard_count,
        sum(read_count) as read_count,
        sum(written_count) as written_count,
        sum(rejected_count) as rejected_count,
        sum(written_count - canonical_count) as duplicate_count,
        sum(read_s) as read_s,
        sum(decode_s) as decode_s,
        sum(forward_s) as forward_s,
        sum(write_s) as write_s,
        sum(wall_s) as wall_s,
        sum(file_bytes) as file_bytes,
    from stg_run_shards
    group by all
)

select
    dataset, run_id, model_id, weights_sha256, is_random, image_activation,
    text_activation, image_height_px, image_width_px, image_mean, image_std,
    interpolation, resize_mode, preprocess, precision, activation_dtype, top_k, layers,
    versions, is_compacted, created_at,
    coalesce(shard_count, 0) as shard_count,
    coalesce(failed_shard_count, 0) as failed_shard_count,
    dataset_shard_count - coalesce(shard_count + failed_shard_count, 0)
        as pending_shard_count,
    coalesce(read_count, 0)::bigint as read_count,
    coalesce(written_count, 0)::bigint as written_count,
    coalesce(rejected_count, 0)::bigint as rejected_count,
    coalesce(duplicate_count, 0)::bigint as duplicate_count,
    coalesce(read_s, 0) as read_s,
    coalesce(decode_s, 0) as decode_s,
    coalesce(forward_s, 0) as forward_s,
    coalesce(write_s, 0) as write_s,
    coalesce(wall_s, 0) as wall_s,
    coalesce(file_bytes, 0)::bigint as file_bytes,
from stg_runs
inner join datasets using (dataset)
left join counts using (dataset, run_id);
