-- view:    neuron_labels
-- grain:   one row per (run_id, layer, unit), for every unit of every layer
-- key:     dataset, run_id, layer, unit
-- reads:   scored_labels
-- purpose: The concept that each neuron stands for, with the evidence; or why none.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030; Quiroga et al. 2005,
--          doi:10.1038/nature03687 (screening and testing)
--
-- On the screening half one concept is chosen (label_candidates). On the testing half
-- that one pair is tested: is it enriched there too? q is Benjamini and Hochberg's
-- over the neurons of the run that have a choice, from the hypergeometric p; the
-- neuron is labelled if q is at most label_max_q. (The p of z would miss a neuron that
-- answers to one form of a concept only, and label more that merely lean towards one.)
-- Concepts count by the word of the label_origins: not by the model's own similarity,
-- unless that is asked for. A neuron without a label says why: 'no activity' (no top
-- example), 'no concept in top examples' (screening), 'no concept stands out' (none can
-- be chosen, so none was tested), 'not significant' (the choice failed its test), or
-- 'circular': it would have a label, but its layer is of a text tower, which read the
-- very texts that tell the concept. Circular choices are corrected among themselves,
-- so they make no other q smaller; enrichment_concept says what was chosen. Only
-- excitation gives labels; inhibition stands in neuron_concepts. AUROC and soft-WPMI
-- count in agreement only where they choose: whose best concept is less than 0.001 nats
-- (of the p of z; of soft-WPMI, which saturates at the logarithm of the number of
-- neurons) ahead of the next name has chosen none. Of layers that keep no activations
-- or only a share of them (layers.is_cut) enrichment alone is known: score, z, margin
-- and what the other two methods chose are null: not tested.
--
-- A label is a statement about the images that it was chosen and tested on. How many
-- independent scores support it is supported_count, of measured_count that were
-- measured; label_evidence has each of them, and what it takes.
--
-- column  type  unit  meaning
-- dataset, model_id, run_id, layer, unit, concept, category, origin, score, z, q_value,
-- positive_count, top_count, top_size, lift, runner_up, runner_up_score, margin,
-- agreement, enrichment_concept, auroc_concept, soft_wpmi_concept, is_labelled,
-- is_circular, reason, supported_count, measured_count
select
    dataset, model_id, run_id, layer, unit, concept, category, origin, score, z,
    q_value, positive_count, top_count, top_size, lift, runner_up, runner_up_score,
    margin, agreement, enrichment_concept, auroc_concept, soft_wpmi_concept,
    is_labelled, is_circular, reason, supported_count, measured_count,
from scored_labels;
