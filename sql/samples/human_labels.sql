-- view:    human_labels
-- grain:   one row per neuron, labeller and labelled example
-- key:     dataset, run_id, layer, unit, labeller, example_id
-- reads:   raw_human_labels, stg_runs, neuron_stats, layer_axes, settings
-- purpose: What people say that sampled images show (neurons label import).
--
-- column         type         unit         meaning
-- dataset        varchar                   name of the dataset
-- model_id       varchar                   architecture:pretrained
-- run_id         varchar                   the run
-- layer          varchar                   module path, point and pooling
-- unit           integer      index 0..    the neuron whose sheet it was on
-- labeller       varchar                   who says so
-- example_id     bigint       id           the example
-- category       varchar                   what they say it shows
-- note           varchar                   what they add; null if nothing
-- labelled_at    timestamptz  UTC          when it was imported
-- activation     float        model units  the neuron's activation; null if the run
--                                          does not know it: zero or below
-- activation_sd  double       SD           standard deviations from zero
-- activation_z   double       SD           standard deviations from the neuron's mean
-- axis           varchar                   of the layer: sd (from zero) or z
-- sd_bin         bigint       index        its bin in neuron_samples; null if unknown
select
    dataset, stg_runs.model_id, run_id, layer, unit, labeller, example_id, category,
    note, labelled_at, activation,
    activation::double / nullif(sd, 0) as activation_sd,
    (activation::double - mean) / nullif(sd, 0) as activation_z,
    axis,
    sd_bin_of(
        activation - axis_origin(axis, mean), nullif(sd, 0), sd_bin_width, sd_bin_offset
    ) as sd_bin,
from raw_human_labels
cross join settings
inner join stg_runs using (dataset, run_id)
left join neuron_stats using (dataset, run_id, layer, unit)
left join layer_axes using (dataset, run_id, layer);
