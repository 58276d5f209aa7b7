-- view:    map_answers
-- grain:   one row per neuron, country and way of showing it on a map
-- key:     dataset, run_id, layer, unit, concept, crop
-- reads:   raw_map_answers, stg_layers, neuron_stats
-- purpose: What each neuron answers to crops of a map of the world, without words.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030, section "Region neurons"
--
-- Outlines of Natural Earth, a country in the middle, white sea, grey land, white
-- borders. No image of the dataset is looked at; standard deviations and means are
-- those of the neuron over the dataset.
--
-- column         type    unit  meaning
-- dataset, model_id, run_id, layer, unit, concept, crop, activation
-- activation_sd  double  SD    the same in standard deviations from zero
-- activation_z   double  SD    the same in standard deviations from the mean
select
    answers.dataset, stg_layers.model_id, answers.run_id, answers.layer, answers.unit,
    answers.concept, answers.crop, answers.activation,
    answers.activation / nullif(neuron_stats.sd, 0) as activation_sd,
    (answers.activation - neuron_stats.mean) / nullif(neuron_stats.sd, 0)
        as activation_z,
from raw_map_answers as answers
inner join stg_layers using (dataset, run_id, layer)
inner join neuron_stats using (dataset, run_id, layer, unit);
