-- view:    top_examples
-- grain:   one row per neuron, polarity and rank
-- key:     dataset, run_id, layer, unit, polarity, example_rank
-- reads:   raw_shard_top, stg_runs, stg_layers, neuron_stats
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
-- Where a layer pools by max, the place of the maximum is known, exactly: of equal
-- ones the first in reading order. The view peaks has it in the original image too. Of
-- other poolings, and of shards that an earlier version wrote, it is null.
--
-- column         type     unit      meaning
-- dataset, model_id, run_id, layer, unit
-- polarity       varchar            positive (most activating) or negative
-- example_rank   bigint   rank 1..  1 = most extreme; ties by example_id
-- example_id, activation
-- activation_sd  double   SD        standard deviations from zero
-- activation_z   double   SD        standard deviations from the neuron's mean
-- peak_row       integer  index 0..  row of the layer's grid where it is largest
-- peak_column    integer  index 0..  column of it
-- peak_token     integer  index 0..  which token, in a layer of tokens
-- seen_x_frac    double   0..1      middle of that cell in the image as the model saw
--                                   it, from the left; null for the class token
-- seen_y_frac    double   0..1      from the top
with

heaps as (
    select
        dataset, run_id, layer, unit, polarity,
        any_value(model_id) as model_id,
        -- the least k of a unique key, whatever the order: a row beyond the k-th so far
        -- is refused at once
        min(
            {
                'place': if(polarity = 'positive', 0 - activation, activation),
                'example_id': example_id,
                'peak': peak
            },
            top_k
        ) as best,
    from raw_shard_top
    inner join stg_runs using (dataset, run_id)
    group by all
),

ranked as (
    select
        dataset, model_id, run_id, layer, unit, polarity,
        unnest(best) as one,
        unnest(range(1, len(best) + 1)) as example_rank,
    from heaps
)

select
    dataset, ranked.model_id, run_id, layer, unit, polarity, example_rank,
    one['example_id'] as example_id,
    if(polarity = 'positive', 0 - one['place'], one['place']) as activation,
    activation / nullif(sd, 0) as activation_sd,
    (activation - mean) / nullif(sd, 0) as activation_z,
    peak_row(one['peak'], grid_columns, prefix_tokens) as peak_row,
    peak_column(one['peak'], grid_columns, prefix_tokens) as peak_column,
    if(token_count is not null, one['peak'], null) as peak_token,
    seen_frac(peak_column, grid_columns) as seen_x_frac,
    seen_frac(peak_row, grid_rows) as seen_y_frac,
from ranked
inner join neuron_stats using (dataset, run_id, layer, unit)
left join stg_layers using (dataset, run_id, layer);
