-- view:    facet_probes
-- grain:   one row per layer and facet that a probe was trained for
-- key:     dataset, run_id, layer, facet
-- reads:   raw_facet_probes, stg_runs
-- purpose: Which facets a lower layer tells apart, and how well; they steer pictures.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030 (faceted feature visualization)
--
-- Trained by neurons facet-probes on images whose facet is known. P(facet) of an image
-- is sigmoid(weights . means of the channels of probe_layer over all positions + bias).
-- Accuracy is balanced (the mean of the shares of both kinds that are called right) and
-- of held-out images: no image of a concept that these show was trained on, and where
-- the concept is not known, no copy of them.
--
-- column                type      unit      meaning
-- dataset, model_id, run_id, layer, facet, probe_layer, accuracy
-- is_usable             boolean             accuracy is 0.8 or more
-- trained_shown_count, trained_other_count, held_out_shown_count, held_out_other_count,
-- weights, bias
select
    dataset, model_id, run_id, layer, facet, probe_layer, accuracy,
    accuracy >= 0.8 as is_usable,
    trained_shown_count, trained_other_count, held_out_shown_count,
    held_out_other_count, weights, bias,
from raw_facet_probes
inner join stg_runs using (dataset, run_id);
