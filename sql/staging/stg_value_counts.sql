-- view:    stg_value_counts
-- grain:   one row per (neuron, half, stored value) of a run without stored ranks
-- key:     dataset, run_id, layer, unit, half, activation
-- reads:   stg_activations, raw_compact_counts, stg_run_examples, stg_examples,
--          stg_layers
-- purpose: How many distinct images of a half have each value: all that ranks need.
--
-- Levels of a compaction have counted theirs; what is in none yet is counted here.
-- Layers that keep a share alone (is_cut) are left out.
--
-- column         type     unit         meaning
-- dataset, run_id, layer, unit, half
-- activation     float    model units  the value
-- example_count
with

distinct_images as (
    select dataset, run_id, example_id, half,
    from stg_run_examples
    inner join stg_examples using (dataset, example_id)
    where not is_duplicate
),

whole_layers as (
    select dataset, run_id, layer,
    from stg_layers
    where not is_cut
),

counts as (
    select
        dataset, run_id, layer, unit, half, activation,
        count(*) as example_count,
    from stg_activations
    inner join distinct_images using (dataset, run_id, example_id)
    where not is_counted
    group by all
    union all
    select
        dataset, run_id, layer, unit::integer as unit, half, activation, example_count,
    from raw_compact_counts
)

select
    dataset, run_id, layer, unit, half, activation,
    sum(example_count)::bigint as example_count,
from counts
semi join whole_layers using (dataset, run_id, layer)
group by all;
