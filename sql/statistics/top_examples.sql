-- view:    top_examples
-- grain:   one row per neuron, polarity and rank
-- key:     dataset, run_id, layer, unit, polarity, example_rank
-- reads:   raw_shard_top, stg_runs, neuron_stats
-- purpose: The strongest and the most inhibiting examples of every neuron, best first.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030
--
-- Exact: the top k of everything is inside the union of the shards' top k. An image
-- that occurs twice counts once, by its first example. In layers that store only
-- activations above zero, a positive example is above zero and a negative one below
-- it; so a rectified neuron may have fewer than k. activation_sd is in standard
-- deviations from zero, as in Goh et al., activation_z from the mean; layer_axes says
-- which of them tells more of a layer. Text towers too leave out an image that an
-- earlier example shows, whatever its text.
--
-- column         type     unit         meaning
-- dataset        varchar               name of the dataset
-- model_id       varchar               architecture:pretrained
-- run_id         varchar               the run
-- layer          varchar               module path, point and pooling
-- unit           integer  index 0..    position of the neuron inside its layer
-- polarity       varchar               positive (most activating) or negative
-- example_rank   bigint   rank 1..     1 = most extreme; ties by example_id
-- example_id     bigint   id           the example
-- activation     float    model units  activation after pooling
-- activation_sd  double   SD           standard deviations from zero
-- activation_z   double   SD           standard deviations from the neuron's mean
with

ranked as (
    select
        raw_shard_top.dataset,
        stg_runs.model_id,
        raw_shard_top.run_id,
        raw_shard_top.layer,
        raw_shard_top.unit,
        raw_shard_top.polarity,
        row_number() over (
            partition by
                raw_shard_top.dataset,
                raw_shard_top.run_id,
                raw_shard_top.layer,
                raw_shard_top.unit,
                raw_shard_top.polarity
            order by
                case raw_shard_top.polarity
                    when 'positive' then -raw_shard_top.activation
                    else raw_shard_top.activation
                end,
                raw_shard_top.example_id
        ) as example_rank,
        raw_shard_top.example_id,
        raw_shard_top.activation,
        stg_runs.top_k,
    from raw_shard_top
    inner join stg_runs
        on
            raw_shard_top.dataset = stg_runs.dataset
            and raw_shard_top.run_id = stg_runs.run_id
),

final as (
    select
        ranked.dataset,
        ranked.model_id,
        ranked.run_id,
        ranked.layer,
        ranked.unit,
        ranked.polarity,
        ranked.example_rank,
        ranked.example_id,
        ranked.activation,
        ranked.activation / nullif(neuron_stats.sd, 0) as activation_sd,
        (ranked.activation - neuron_stats.mean) / nullif(neuron_stats.sd, 0)
            as activation_z,
    from ranked
    inner join neuron_stats
        on
            ranked.dataset = neuron_stats.dataset
            and ranked.run_id = neuron_stats.run_id
            and ranked.layer = neuron_stats.layer
            and ranked.unit = neuron_stats.unit
    where ranked.example_rank <= ranked.top_k
)

select
    final.dataset,
    final.model_id,
    final.run_id,
    final.layer,
    final.unit,
    final.polarity,
    final.example_rank,
    final.example_id,
    final.activation,
    final.activation_sd,
    final.activation_z,
from final;
