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
-- preprocess        varchar             fast or exact
-- precision         varchar             float32, or the type of the autocast
-- activation_dtype  varchar             type of the stored activations
-- top_k             bigint       count  top examples kept of each neuron and shard
-- layers            varchar[]           layers of the run
-- versions          varchar      JSON   versions of the libraries that made it
-- is_compacted      boolean             whether the sorted form with ranks is in use
-- created_at        timestamptz  UTC    when the run was opened
select
    raw_runs.dataset,
    raw_runs.run_id,
    raw_runs.model_id,
    raw_runs.weights_sha256,
    raw_runs.is_random,
    raw_runs.preprocess,
    raw_runs.precision,
    raw_runs.activation_dtype,
    raw_runs.top_k,
    raw_runs.layers,
    raw_runs.versions,
    raw_runs.is_compacted,
    raw_runs.created_at,
from raw_runs;
