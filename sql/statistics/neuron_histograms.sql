-- view:    neuron_histograms
-- grain:   one row per neuron and bin that is not empty
-- key:     dataset, run_id, layer, unit, bin
-- reads:   raw_shard_histograms, stg_runs
-- purpose: How the activations of each neuron are distributed, on fixed edges.
--
-- Every histogram has the same edges, four an octave, so that shards, neurons and
-- layers can be added and compared. Divide the edges by neuron_stats.sd for standard
-- deviations from zero; take neuron_stats.mean off first for those from the mean.
--
-- column         type    unit         meaning
-- dataset, model_id, run_id, layer, unit, bin
-- bin_left       double  model units  left edge; inclusive above zero
-- bin_right      double  model units  right edge; inclusive below zero
-- example_count  bigint  count        examples in the bin, repeated images included
with

counts as (
    select
        dataset, run_id, layer, unit, bin,
        sum(example_count)::bigint as example_count,
    from raw_shard_histograms
    group by all
)

select
    dataset, model_id, run_id, layer, unit, bin,
    bin_left(bin) as bin_left,
    bin_right(bin) as bin_right,
    example_count,
from counts
inner join stg_runs using (dataset, run_id);
