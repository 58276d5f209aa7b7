-- view:    mutual_neighbours
-- grain:   one row per pair of neurons, each of which is the other's nearest
-- key:     dataset, run_id, layer, unit, other_run_id, other_layer
-- reads:   neuron_neighbours
-- purpose: Pairs of neurons that are each other's nearest: the same thing seen twice.
-- cite:    Li et al. 2015, arXiv:1511.07543
--
-- Of the two, the first by run, layer and unit stands first, so each pair is one row.
-- Nearest is meant among the neurons of the other's layer. Across models it says which
-- neurons they have in common; within a layer, which are doubled.
--
-- column  type  unit  meaning
-- dataset, model_id, run_id, layer, unit, other_model_id, other_run_id, other_layer,
-- other_unit, correlation, example_count
with

nearest as (
    select *
    from neuron_neighbours
    where neighbour_rank = 1
)

select
    nearest.dataset, nearest.model_id, nearest.run_id, nearest.layer, nearest.unit,
    nearest.other_model_id, nearest.other_run_id, nearest.other_layer,
    nearest.other_unit, nearest.correlation, nearest.example_count,
from nearest
inner join nearest as back
    on
        nearest.dataset = back.dataset
        and nearest.other_run_id = back.run_id
        and nearest.other_layer = back.layer
        and nearest.other_unit = back.unit
        and nearest.run_id = back.other_run_id
        and nearest.layer = back.other_layer
        and nearest.unit = back.other_unit
where
    (nearest.run_id, nearest.layer, nearest.unit)
    < (nearest.other_run_id, nearest.other_layer, nearest.other_unit);
