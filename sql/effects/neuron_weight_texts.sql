-- view:    neuron_weight_texts
-- grain:   one row per neuron that leads straight to the embedding, and rank
-- key:     dataset, run_id, layer, unit, phrase_rank
-- reads:   raw_weight_texts, stg_layers, neuron_labels
-- purpose: The text of each neuron by the weights alone: phrases it writes.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030 (attention pool); Gandelsman
--          et al. 2024, arXiv:2406.04341 (neurons of a ViT, first order)
--
-- No image was looked at: what a neuron adds to the embedding, held against phrases in
-- the same space. A cosine says which phrases come closest, not how much the neuron
-- adds to any embedding. The cosine of a random direction of the layer stands beside
-- each rank: a neuron whose first is no higher writes no phrase in particular. The
-- label is of the run's images, and was not known to the weights.
--
-- column         type     unit       meaning
-- dataset, model_id, run_id, layer, unit, phrase_rank, phrase, category, cosine,
-- random_cosine
-- concept        varchar             the neuron's label, or null
-- is_label       boolean             the phrase is the label; null without one
select
    texts.dataset, stg_layers.model_id, texts.run_id, texts.layer, texts.unit,
    texts.phrase_rank, texts.phrase, texts.category, texts.cosine, texts.random_cosine,
    if(labels.is_labelled, labels.concept, null) as concept,
    if(labels.is_labelled, labels.concept = texts.phrase, null) as is_label,
from raw_weight_texts as texts
inner join stg_layers using (dataset, run_id, layer)
left join neuron_labels as labels using (dataset, run_id, layer, unit);
