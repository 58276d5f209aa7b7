-- view:    stg_activations
-- grain:   one row per (neuron, example) whose activation the run stores
-- key:     dataset, run_id, layer, unit, example_id
-- reads:   raw_activations
-- purpose: Stored activations, finite ones only (the writer lets no other pass).
--
-- column     type     unit       meaning
-- dataset, run_id, layer
-- unit       integer  index 0..  position of the neuron inside its layer
-- example_id, activation
-- rank2      bigint   2 x rank   twice the mid-rank in its half; null before compact
-- is_ranked  boolean             whether the run is compacted
-- is_counted boolean             whether its value is in compact_counts, or ranked
select
    dataset, run_id, layer, unit::integer as unit, example_id, activation, rank2,
    is_ranked, is_counted,
from raw_activations
where isfinite(activation);
