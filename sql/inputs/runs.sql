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
        coalesce(sum(read_count), 0)::bigint as read_count,
        coalesce(sum(written_count), 0)::bigint as written_count,
        coalesce(sum(rejected_count), 0)::bigint as rejected_count,
        coalesce(sum(written_count - canonical_count), 0)::bigint as duplicate_count,
        coalesce(sum(read_s), 0) as read_s,
        coalesce(sum(decode_s), 0) as decode_s,
        coalesce(sum(forward_s), 0) as forward_s,
        coalesce(sum(write_s), 0) as write_s,
        coalesce(sum(wall_s), 0) as wall_s,
        coalesce(sum(file_bytes), 0)::bigint as file_bytes,
    from stg_runs
    left join stg_run_shards using (dataset, run_id)
    group by all
)

select
    dataset, run_id, model_id, weights_sha256, is_random, image_activation,
    text_activation, image_height_px, image_width_px, image_mean, image_std,
    interpolation, resize_mode, preprocess, precision, activation_dtype, top_k, layers,
    versions, is_compacted, created_at, shard_count, failed_shard_count,
    dataset_shard_count - shard_count - failed_shard_count as pending_shard_count,
    read_count, written_count, rejected_count, duplicate_count, read_s, decode_s,
    forward_s, write_s, wall_s, file_bytes,
from stg_runs
inner join datasets using (dataset)
inner join counts using (dataset, run_id);
