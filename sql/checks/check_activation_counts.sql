-- view:    check_activation_counts
-- grain:   one row per neuron whose stored activations are not all there
-- key:     dataset, run_id, layer, unit
-- reads:   stg_neuron_moments, raw_activations, stg_layers
-- purpose: Neurons with more or fewer stored activations than their statistics say.
--
-- column          type     unit       meaning
-- dataset         varchar             name of the dataset
-- run_id          varchar             the run
-- layer           varchar             module path, point and pooling
-- unit            integer  index 0..  position of the neuron
-- expected_count  bigint   count      by the statistics
-- found_count     bigint   count      rows of activations
with

stored as (
    select
        raw_activations.dataset,
        raw_activations.run_id,
        raw_activations.layer,
        raw_activations.unit,
        count(*) as row_count,
    from raw_activations
    group by all
),

compared as (
    select
        stg_neuron_moments.dataset,
        stg_neuron_moments.run_id,
        stg_neuron_moments.layer,
        stg_neuron_moments.unit,
        case stg_layers.store
            when 'positive' then stg_neuron_moments.positive_count
            else stg_neuron_moments.example_count
        end as expected_count,
        coalesce(stored.row_count, 0) as found_count,
    from stg_neuron_moments
    inner join stg_layers
        on
            stg_neuron_moments.dataset = stg_layers.dataset
            and stg_neuron_moments.run_id = stg_layers.run_id
            and stg_neuron_moments.layer = stg_layers.layer
    left join stored
        on
            stg_neuron_moments.dataset = stored.dataset
            and stg_neuron_moments.run_id = stored.run_id
            and stg_neuron_moments.layer = stored.layer
            and stg_neuron_moments.unit = stored.unit
)

select
    compared.dataset,
    compared.run_id,
    compared.layer,
    compared.unit,
    compared.expected_count,
    compared.found_count,
from compared
where compared.expected_count <> compared.found_count;
