-- view:    warn_neighbours
-- grain:   one row per pair of layers
-- key:     none
-- reads:   stg_layers, raw_neuron_neighbours
-- purpose: Pairs of layers that the build's budget left out of neuron_neighbours.
--
-- neurons like computes them when it is asked. A layer whose neurons are all constant
-- is listed too: it has no neighbours. Nothing is listed before a build.
--
-- column        type     unit   meaning
-- dataset       varchar         name of the dataset
-- run_id        varchar         the run
-- layer         varchar         module path, point and pooling
-- other_run_id  varchar         the other run
-- other_layer   varchar         the other layer
with

compared as (
    select distinct
        raw_neuron_neighbours.dataset,
        raw_neuron_neighbours.run_id,
        raw_neuron_neighbours.layer,
        raw_neuron_neighbours.other_run_id,
        raw_neuron_neighbours.other_layer,
    from raw_neuron_neighbours
),

wanted as (
    select
        stg_layers.dataset,
        stg_layers.run_id,
        stg_layers.layer,
        other_layers.run_id as other_run_id,
        other_layers.layer as other_layer,
    from stg_layers
    inner join stg_layers as other_layers
        on stg_layers.dataset = other_layers.dataset
    where
        (stg_layers.run_id, stg_layers.layer)
        <= (other_layers.run_id, other_layers.layer)
)

select
    wanted.dataset,
    wanted.run_id,
    wanted.layer,
    wanted.other_run_id,
    wanted.other_layer,
from wanted
anti join compared
    on
        wanted.dataset = compared.dataset
        and wanted.run_id = compared.run_id
        and wanted.layer = compared.layer
        and wanted.other_run_id = compared.other_run_id
        and wanted.other_layer = compared.other_layer
where exists (select 1 from compared);
