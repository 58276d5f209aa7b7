-- view:    neuron_second_order_texts
-- grain:   one row per neuron that acts through later attention layers, and rank
-- key:     dataset, run_id, layer, unit, phrase_rank
-- reads:   raw_second_order_texts, stg_layers, neuron_labels
-- purpose: The text of each neuron of a ViT by what it does through later attention.
-- cite:    Gandelsman et al. 2024, arXiv:2406.04341, section 3.2
--
-- On the images of the run that excite a neuron most: what every later attention layer
-- carries of it to the class token, attention and norms' lengths held as they are, and
-- from there to the embedding. The direction is the first principal component, about
-- zero, of these effects; the paper takes it about the mean over all images. Unlike
-- neuron_weight_texts it rests on images, those that the label rests on too. Of
-- ResNets, and of a ViT's last block, there is none.
--
-- column          type     unit       meaning
-- dataset, model_id, run_id, layer, unit, phrase_rank, phrase, category, cosine,
-- random_cosine, image_count, explained_frac
-- concept         varchar             the neuron's label, or null
-- is_label        boolean             the phrase is the label; null without one
select
    texts.dataset, stg_layers.model_id, texts.run_id, texts.layer, texts.unit,
    texts.phrase_rank, texts.phrase, texts.category, texts.cosine, texts.random_cosine,
    texts.image_count, texts.explained_frac,
    if(labels.is_labelled, labels.concept, null) as concept,
    if(labels.is_labelled, labels.concept = texts.phrase, null) as is_label,
from raw_second_order_texts as texts
inner join stg_layers using (dataset, run_id, layer)
left join neuron_labels as labels using (dataset, run_id, layer, unit);
