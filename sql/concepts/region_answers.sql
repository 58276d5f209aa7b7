-- view:    region_answers
-- grain:   one row per neuron and name of a region
-- key:     dataset, run_id, layer, unit, concept
-- reads:   raw_region_answers, stg_layers, neuron_stats
-- purpose: What each neuron answers to the names of regions, drawn as images.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030, section "Region neurons"
--
-- Countries, cities and continents that the lexicon names, each in English, black on
-- white in one font. No image of the dataset is looked at; standard deviations and
-- means are those of the neuron over the dataset.
--
-- column         type    unit  meaning
-- dataset, model_id, run_id, layer, unit, concept, activation
-- activation_sd  double  SD    the same in standard deviations from zero
-- activation_z   double  SD    the same in standard deviations from the mean
select
    answers.dataset, stg_layers.model_id, answers.run_id, answers.layer, answers.unit,
    answers.concept, answers.activation,
    answers.activation / nullif(neuron_stats.sd, 0) as activation_sd,
    (answers.activation - neuron_stats.mean) / nullif(neuron_stats.sd, 0)
        as activation_z,
from raw_region_answers as answers
inner join stg_layers using (dataset, run_id, layer)
inner join neuron_stats using (dataset, run_id, layer, unit);
