-- view:    example_top_neurons
-- grain:   one row per example of a run and rank
-- key:     dataset, run_id, example_id, neuron_rank
-- reads:   activations, neuron_stats, layer_axes
-- purpose: The neurons that answer most to an image: the other way round.
--
-- Each neuron by the axis of its layer (layer_axes): standard deviations from zero, or
-- from its mean. Give it an example_id: without one it ranks every neuron of every
-- image.
--
-- column         type     unit      meaning
-- dataset, model_id, run_id, example_id
-- neuron_rank    bigint   rank 1..  1 = strongest on its axis; ties by layer, unit; to
--                                   20
-- layer, unit, activation
-- activation_sd  double   SD        standard deviations from zero
-- activation_z   double   SD        standard deviations from the neuron's mean
-- axis           varchar            sd or z: by which of them it is ranked
with

scaled as (
    select
        activations.*,
        axis,
        activation / nullif(sd, 0) as activation_sd,
        (activation - mean) / nullif(sd, 0) as activation_z,
    from activations
    inner join neuron_stats using (dataset, run_id, layer, unit)
    inner join layer_axes using (dataset, run_id, layer)
)

select
    dataset, model_id, run_id, example_id,
    row_number() over (
        partition by dataset, model_id, run_id, example_id
        order by
            if(axis = 'z', activation_z, activation_sd) desc,
            layer asc,
            unit asc
    ) as neuron_rank,
    layer, unit, activation, activation_sd, activation_z, axis,
from scaled
where activation_sd is not null
qualify neuron_rank <= 20;
