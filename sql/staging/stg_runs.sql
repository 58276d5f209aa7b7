-- view:    stg_runs
-- grain:   one row per run
-- key:     dataset, run_id
-- reads:   raw_runs
-- purpose: The runs: model, weights, settings.
--
-- column            type         unit   meaning
-- dataset           varchar             name of the dataset
-- run_id            varchar             the run
-- model_id          varchar             architecture:pretrained
-- weights_sha256    varchar      hex    hash of all weights
-- is_random         boolean             weights are seeded noise
-- image_activation  varchar             activation functions of the image tower
-- text_activation   varchar             activation functions of the text tower
-- image_height_px   integer      px     height of the image tower's input
-- image_width_px    integer      px     width of the image tower's input
-- image_mean        double[]            subtracted from R, G and B in 0..1
-- image_std         double[]            what R, G and B are divided by
-- interpolation     varchar             of the resize
-- resize_mode       varchar             shortest, longest or squash
-- preprocess        varchar             fast or exact
-- precision         varchar             of the forward pass, as it was asked for
-- activation_dtype  varchar             type of the stored activations
-- top_k             bigint       count  top examples kept of each neuron and shard
-- layers            varchar[]           layers of the run
-- versions          varchar      JSON   versions of the libraries that made it
-- is_compacted      boolean             whether the sorted form with ranks is in use
-- merge_width       integer      count  shards whose partial statistics become one
-- created_at        timestamptz  UTC    when the run was opened
select
    dataset, run_id, model_id, weights_sha256, is_random, image_activation,
    text_activation, image_height_px, image_width_px, image_mean, image_std,
    interpolation, resize_mode, preprocess, precision, activation_dtype, top_k, layers,
    versions, is_compacted, merge_width, created_at,
from raw_runs;
