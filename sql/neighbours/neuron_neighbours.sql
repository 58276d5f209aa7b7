-- view:    neuron_neighbours
-- grain:   one row per neuron, layer of any run on the same dataset, and rank
-- key:     dataset, run_id, layer, unit, other_run_id, other_layer, neighbour_rank
-- reads:   raw_neuron_neighbours, stg_runs
-- purpose: The neurons that answer to the same images: the ten nearest in each layer.
--
-- neurons build computes it (pipeline/evidence/neighbours.py); before that it has no
-- rows. The correlation is Pearson's, over the distinct images that both runs hold, or
-- over 25,000 of them drawn by hash. Activations that a run does not store (zero or
-- below, where store = 'positive') count as 0. A constant neuron is nobody's neighbour
-- and has none; no neuron is its own. Pairs of layers beyond the build's budget are
-- left out: warn_neighbours lists them. Across datasets: neurons like.
--
-- column          type     unit       meaning
-- dataset, model_id, run_id, layer, unit
-- other_model_id  varchar             the neighbour's model
-- other_run_id    varchar             the neighbour's run
-- other_layer     varchar             the neighbour's layer
-- neighbour_rank
-- other_unit      integer  index 0..  the neighbour's position in its layer
-- correlation     double   -1..1      Pearson's, over the images of both runs
-- example_count   bigint   count      images that it rests on
select
    dataset, stg_runs.model_id, run_id, layer, unit,
    other_runs.model_id as other_model_id,
    other_run_id, other_layer, neighbour_rank, other_unit, correlation, example_count,
from raw_neuron_neighbours
inner join stg_runs using (dataset, run_id)
inner join stg_runs as other_runs
    on
        raw_neuron_neighbours.dataset = other_runs.dataset
        and raw_neuron_neighbours.other_run_id = other_runs.run_id;
