-- view:    runs
-- grain:   one row per run
-- key:     dataset, run_id
-- reads:   stg_runs, stg_run_shards, stg_shards
-- purpose: Every run: model, settings, how far it is and what it cost.
--
-- column               type         unit   meaning
-- dataset              varchar             name of the dataset
-- run_id               varchar             the run
-- model_id             varchar             architecture:pretrained
-- weights_sha256       varchar      hex    hash of all weights
-- is_random            boolean             weights are seeded noise
-- image_activation     varchar             activation functions of the image tower
-- text_activation      varchar             activation functions of the text tower
-- image_height_px      integer      px     height of the image tower's input
-- image_width_px       integer      px     width of the image tower's input
-- image_mean           double[]            subtracted from R, G and B in 0..1
-- image_std            double[]            what R, G and B are divided by
-- interpolation        varchar             of the resize
-- resize_mode          varchar             shortest, longest or squash
-- preprocess           varchar             fast or exact
-- precision            varchar             float32, or the type of the autocast
-- activation_dtype     varchar             type of the stored activations
-- top_k                bigint       count  top examples kept of each neuron and shard
-- layers               varchar[]           layers of the run
-- versions             varchar      JSON   versions of the libraries that made it
-- is_compacted         boolean             whether the sorted form with ranks is in use
-- created_at           timestamptz  UTC    when the run was opened
-- shard_count          bigint       count  shards that are done
-- failed_shard_count   bigint       count  shards that failed
-- pending_shard_count  bigint       count  shards of the dataset that are neither
-- read_count           bigint       count  examples read
-- written_count        bigint       count  examples written
-- rejected_count       bigint       count  examples rejected
-- duplicate_count      bigint       count  of these, repeats of an earlier image
-- read_s               double       s      time to read, summed over threads
-- decode_s             double       s      time to decode, summed over threads
-- forward_s            double       s      time of the model
-- write_s              double       s      time to write
-- wall_s               double       s      time by the clock
-- file_bytes           bigint       bytes  size of all files
with

datasets as (
    select
        stg_shards.dataset,
        count(*) as shard_count,
    from stg_shards
    group by stg_shards.dataset
),

counts as (
    select
        stg_run_shards.dataset,
        stg_run_shards.run_id,
        count(*) filter (where stg_run_shards.status = 'done') as shard_count,
        count(*) filter (where stg_run_shards.status = 'failed') as failed_shard_count,
        sum(stg_run_shards.read_count) as read_count,
        sum(stg_run_shards.written_count) as written_count,
        sum(stg_run_shards.rejected_count) as rejected_count,
        sum(
            stg_run_shards.written_count - stg_run_shards.canonical_count
        ) as duplicate_count,
        sum(stg_run_shards.read_s) as read_s,
        sum(stg_run_shards.decode_s) as decode_s,
        sum(stg_run_shards.forward_s) as forward_s,
        sum(stg_run_shards.write_s) as write_s,
        sum(stg_run_shards.wall_s) as wall_s,
        sum(stg_run_shards.file_bytes) as file_bytes,
    from stg_run_shards
    group by all
)

select
    stg_runs.dataset,
    stg_runs.run_id,
    stg_runs.model_id,
    stg_runs.weights_sha256,
    stg_runs.is_random,
    stg_runs.image_activation,
    stg_runs.text_activation,
    stg_runs.image_height_px,
    stg_runs.image_width_px,
    stg_runs.image_mean,
    stg_runs.image_std,
    stg_runs.interpolation,
    stg_runs.resize_mode,
    stg_runs.preprocess,
    stg_runs.precision,
    stg_runs.activation_dtype,
    stg_runs.top_k,
    stg_runs.layers,
    stg_runs.versions,
    stg_runs.is_compacted,
    stg_runs.created_at,
    coalesce(counts.shard_count, 0) as shard_count,
    coalesce(counts.failed_shard_count, 0) as failed_shard_count,
    datasets.shard_count
    - coalesce(counts.shard_count + counts.failed_shard_count, 0)
        as pending_shard_count,
    coalesce(counts.read_count, 0)::bigint as read_count,
    coalesce(counts.written_count, 0)::bigint as written_count,
    coalesce(counts.rejected_count, 0)::bigint as rejected_count,
    coalesce(counts.duplicate_count, 0)::bigint as duplicate_count,
    coalesce(counts.read_s, 0) as read_s,
    coalesce(counts.decode_s, 0) as decode_s,
    coalesce(counts.forward_s, 0) as forward_s,
    coalesce(counts.write_s, 0) as write_s,
    coalesce(counts.wall_s, 0) as wall_s,
    coalesce(counts.file_bytes, 0)::bigint as file_bytes,
from stg_runs
inner join datasets
    on stg_runs.dataset = datasets.dataset
left join counts
    on
        stg_runs.dataset = counts.dataset
        and stg_runs.run_id = counts.run_id;
