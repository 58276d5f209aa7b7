-- view:    human_labels
-- grain:   one row per neuron, labeller and labelled example
-- key:     dataset, run_id, layer, unit, labeller, example_id
-- reads:   raw_human_labels, stg_runs, neuron_stats, layer_axes, settings
-- purpose: What people say that sampled images show (neurons label import).
--
-- column         type    unit   meaning
-- dataset, model_id, run_id, layer, unit, labeller, example_id, category, note,
-- labelled_at, activation
-- activation_sd  double  SD     standard deviations from zero
-- activation_z   double  SD     standard deviations from the neuron's mean
-- axis
-- sd_bin         bigint  index  its bin in neuron_samples; null if unknown
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
