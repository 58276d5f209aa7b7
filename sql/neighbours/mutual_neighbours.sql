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
-- column          type     unit       meaning
-- dataset         varchar             name of the dataset
-- model_id        varchar             architecture:pretrained
-- run_id          varchar             the run
-- layer           varchar             module path, point and pooling
-- unit            integer  index 0..  position of the neuron inside its layer
-- other_model_id  varchar             the other neuron's model
-- other_run_id    varchar             the other neuron's run
-- other_layer     varchar             the other neuron's layer
-- other_unit      integer  index 0..  the other neuron's position in its layer
-- correlation     double   -1..1      Pearson's, over the images of both runs
-- example_count   bigint   count      images that it rests on
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
