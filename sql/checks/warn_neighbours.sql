-- view:    warn_neighbours
-- grain:   one row per pair of layers
-- key:     none
-- reads:   stg_layers, raw_neuron_neighbours
-- purpose: Pairs of layers that the build's budget left out of neuron_neighbours.
--
-- neurons like computes them when it is asked. A layer whose neurons are all constant
-- is listed too: it has no neighbours. Layers that keep no activations or a share are
-- not. Runs are listed once they are built.
--
-- column  type  unit  meaning
-- dataset, run_id, layer, other_run_id, other_layer
with

compared as (
    select distinct
        dataset, run_id, layer, other_run_id, other_layer,
    from raw_neuron_neighbours
),

built as (
    select distinct dataset, run_id,
    from compared
    where run_id = other_run_id
),

wanted as (
    select
        dataset, layers.run_id, layers.layer,
        other.run_id as other_run_id,
        other.layer as other_layer,
    from stg_layers as layers
    inner join stg_layers as other using (dataset)
    semi join built
        on layers.dataset = built.dataset and layers.run_id = built.run_id
    semi join built as built_too
        on other.dataset = built_too.dataset and other.run_id = built_too.run_id
    where
        (layers.run_id, layers.layer) <= (other.run_id, other.layer)
        and not layers.is_cut and not other.is_cut
)

select
    dataset, run_id, layer, other_run_id, other_layer,
from wanted
anti join compared using (dataset, run_id, layer, other_run_id, other_layer);
