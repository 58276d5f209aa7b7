-- view:    layer_axes
-- grain:   one row per layer of a run that has a neuron with spread
-- key:     dataset, run_id, layer
-- reads:   stg_layers, neuron_stats
-- purpose: By what the activations of a layer are measured on cards and in bins.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030 (standard deviations from zero)
--
-- Axis sd: standard deviations from zero, where a neuron is at rest. For the layers
-- that it was made for: outputs and inputs of a ReLU (is_rectified), as long as zero is
-- near: median_mean_sd is at most 2. Axis z, standard deviations from the neuron's own
-- mean, everywhere else: where all activations are near 2.73 with a standard deviation
-- of 0.05, each is some 55 of them from zero, and that says nothing.
--
-- column          type     unit  meaning
-- dataset, model_id, run_id, layer, is_rectified
-- median_mean_sd  double   SD    |mean| / sd of its neurons, median
-- axis            varchar        sd: SD from zero; z: SD from the neuron's mean
with

rests as (
    select
        dataset, stg_layers.model_id, run_id, layer, is_rectified,
        median(abs(mean) / sd) as median_mean_sd,
    from stg_layers
    inner join neuron_stats using (dataset, run_id, layer)
    where sd > 0
    group by all
)

select
    dataset, model_id, run_id, layer, is_rectified, median_mean_sd,
    if(is_rectified and median_mean_sd <= 2, 'sd', 'z') as axis,
from rests;
