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
-- column         type     unit         meaning
-- dataset        varchar               name of the dataset
-- model_id       varchar               architecture:pretrained
-- run_id         varchar               the run
-- example_id     bigint   id           the example
-- neuron_rank    bigint   rank 1..     1 = strongest on its axis; ties by layer, unit;
--                                      to 20
-- layer          varchar               module path, point and pooling
-- unit           integer  index 0..    position of the neuron inside its layer
-- activation     float    model units  activation after pooling
-- activation_sd  double   SD           standard deviations from zero
-- activation_z   double   SD           standard deviations from the neuron's mean
-- axis           varchar               sd or z: by which of them it is ranked
with

scaled as (
    select
        activations.dataset,
        activations.model_id,
        activations.run_id,
        activations.example_id,
        activations.layer,
        activations.unit,
        activations.activation,
        activations.activation / nullif(neuron_stats.sd, 0) as activation_sd,
        (activations.activation - neuron_stats.mean) / nullif(neuron_stats.sd, 0)
            as activation_z,
        layer_axes.axis,
    from activations
    inner join neuron_stats
        on
            activations.dataset = neuron_stats.dataset
            and activations.run_id = neuron_stats.run_id
            and activations.layer = neuron_stats.layer
            and activations.unit = neuron_stats.unit
    inner join layer_axes
        on
            activations.dataset = layer_axes.dataset
            and activations.run_id = layer_axes.run_id
            and activations.layer = layer_axes.layer
),

ranked as (
    select
        scaled.dataset,
        scaled.model_id,
        scaled.run_id,
        scaled.example_id,
        row_number() over (
            partition by
                scaled.dataset,
                scaled.model_id,
                scaled.run_id,
                scaled.example_id
            order by
                if(scaled.axis = 'z', scaled.activation_z, scaled.activation_sd) desc,
                scaled.layer,
                scaled.unit
        ) as neuron_rank,
        scaled.layer,
        scaled.unit,
        scaled.activation,
        scaled.activation_sd,
        scaled.activation_z,
        scaled.axis,
    from scaled
    where scaled.activation_sd is not null
)

select
    ranked.dataset,
    ranked.model_id,
    ranked.run_id,
    ranked.example_id,
    ranked.neuron_rank,
    ranked.layer,
    ranked.unit,
    ranked.activation,
    ranked.activation_sd,
    ranked.activation_z,
    ranked.axis,
from ranked
where ranked.neuron_rank <= 20;
