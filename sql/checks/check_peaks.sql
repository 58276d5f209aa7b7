-- view:    check_peaks
-- grain:   one row per neuron, shard or merge, and what is kept of its examples
-- key:     dataset, run_id, layer, unit, shard_ordinal, kept_as
-- reads:   stg_layers, raw_shard_top, raw_shard_samples, raw_merged_samples
-- purpose: Peaks outside their layer's grid or tokens, or of a layer that keeps none.
--
-- column         type     unit      meaning
-- dataset, run_id, layer, unit, shard_ordinal
-- kept_as        varchar            top or sample
-- place_count    integer  count     places of the layer: cells, and tokens before them;
--                                   0 if it does not pool by max or has no places
-- outside_count  bigint   count     examples whose peak is none of them
-- least_peak     integer  index 0.. the least peak of these
-- greatest_peak  integer  index 0.. the greatest
with

places as (
    select
        dataset, run_id, layer,
        case
            when pooling <> 'max' then 0
            else coalesce(token_count, grid_rows * grid_columns, 0)
        end as place_count,
    from stg_layers
),

kept as (
    select dataset, run_id, layer, unit, shard_ordinal, 'top' as kept_as, peak,
    from raw_shard_top
    union all
    select dataset, run_id, layer, unit, shard_ordinal, 'sample' as kept_as, peak,
    from raw_shard_samples
    union all
    select dataset, run_id, layer, unit, shard_ordinal, 'sample' as kept_as, peak,
    from raw_merged_samples
)

select
    dataset, run_id, layer, unit, shard_ordinal, kept_as,
    any_value(place_count) as place_count,
    count(*) as outside_count,
    min(peak) as least_peak,
    max(peak) as greatest_peak,
from kept
inner join places using (dataset, run_id, layer)
where peak < 0 or peak >= place_count
group by all;
