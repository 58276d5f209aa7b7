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
    raw_human_labels.dataset,
    stg_runs.model_id,
    raw_human_labels.run_id,
    raw_human_labels.layer,
    raw_human_labels.unit,
    raw_human_labels.labeller,
    raw_human_labels.example_id,
    raw_human_labels.category,
    raw_human_labels.note,
    raw_human_labels.labelled_at,
    raw_human_labels.activation,
    raw_human_labels.activation::double / nullif(neuron_stats.sd, 0) as activation_sd,
    (raw_human_labels.activation::double - neuron_stats.mean)
    / nullif(neuron_stats.sd, 0) as activation_z,
    layer_axes.axis,
    sd_bin_of(
        raw_human_labels.activation
        - axis_origin(layer_axes.axis, neuron_stats.mean),
        nullif(neuron_stats.sd, 0),
        settings.sd_bin_width,
        settings.sd_bin_offset
    ) as sd_bin,
from raw_human_labels
cross join settings
inner join stg_runs
    on
        raw_human_labels.dataset = stg_runs.dataset
        and raw_human_labels.run_id = stg_runs.run_id
left join neuron_stats
    on
        raw_human_labels.dataset = neuron_stats.dataset
        and raw_human_labels.run_id = neuron_stats.run_id
        and raw_human_labels.layer = neuron_stats.layer
        and raw_human_labels.unit = neuron_stats.unit
left join layer_axes
    on
        raw_human_labels.dataset = layer_axes.dataset
        and raw_human_labels.run_id = layer_axes.run_id
        and raw_human_labels.layer = layer_axes.layer;
