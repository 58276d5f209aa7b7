-- view:    activations
-- grain:   one row per (neuron, example) whose activation the run stores
-- key:     dataset, run_id, layer, unit, example_id
-- reads:   stg_activations, stg_runs
-- purpose: The activations themselves, for your own questions.
--
-- Always filter by layer, and by unit where you can: files and row groups are laid out
-- by them. A layer with store = 'positive' holds activations above zero only; absent
-- ones are zero or below. One with store = 'top:FRAC' holds each neuron's strongest
-- share of every shard, rounded up, of equal ones the first, and where is_rectified
-- only those above zero: absent ones can be anything weaker. One with store = 'none'
-- has no row here. rank2 = 2 x mid-rank, ascending, among the distinct images of
-- the same half (examples.half), absent ones included; neurons compact makes it.
--
-- column  type    unit      meaning
-- dataset, model_id, run_id, layer, unit, example_id, activation
-- rank2   bigint  2 x rank  twice the mid-rank in its half; null unless the run is
--                           compacted as one, for repeated images, and where is_cut
select
    dataset, model_id, run_id, layer, unit, example_id, activation, rank2,
from stg_activations
inner join stg_runs using (dataset, run_id);
