-- view:    label_evidence
-- grain:   one row per neuron that is labelled
-- key:     dataset, run_id, layer, unit
-- reads:   scored_labels
-- purpose: What supports each label: scores of what had no part in choosing it.
-- cite:    Kopf et al. 2024, CoSy, arXiv:2405.20331 (AUC and MAD); Bills et al. 2023
--          (prediction); Paulo et al. 2024, arXiv:2410.13928 (detection); Puri et al.
--          2025, FADE, arXiv:2502.16994 (purity, faithfulness)
--
-- Six scores, each of data that did not choose the label. Null is not measured.
--
-- fresh: images that no label rests on, made by neurons support: the concept's word in
--   other fonts, and drawings of another set, against fresh images of other concepts in
--   the same forms. AUC is how often an image of the concept excites the neuron more
--   than one of the others, ties half; MAD is its mean activation less theirs, in SD of
--   theirs. Both are taken within each form and averaged over the forms.
-- purity: average precision of the images that show the concept, all of the testing
--   half ranked by activation.
-- detection: does the concept tell where the neuron fires? The mean of two shares of
--   the testing half: of the images that fire it, those that show the concept; of its
--   near misses (contrasting_examples), those that do not. It fires above the
--   activation at which firing and the concept agree best (F1) on the screening half.
-- prediction: Pearson correlation of the activation with what the concept predicts,
--   on the testing half; the mean where it is shown and where it is not are fitted on
--   the screening half.
-- faithfulness: how far driving the neuron makes the model say the concept
--   (neuron_faithfulness), made by neurons effect.
-- agreement: how many of three methods chose it (neuron_labels).
--
-- Beside each stand two baselines of the same neuron: the score of another neuron's
-- label, drawn at random among those of the run with another name (other_), and of
-- concepts permuted among the images of a half, or of the fresh images of a form
-- (permuted_). For agreement: how many methods chose the other label, and how many of
-- the other neuron's chose this one. For faithfulness: another tested concept, and a
-- random direction.
--
-- A score supports the label if it is above both baselines and at least: fresh AUC 0.9
-- and MAD 1; purity 0.5; detection 0.75; prediction 0.3; faithfulness 0.1; agreement 2.
-- Purity, detection and prediction need neurons build, and a layer that keeps its
-- activations; detection needs near misses on the testing half; faithfulness needs
-- neurons effect and the fresh scores neurons support, made for the label of now. The
-- planted neurons say what a count is worth: docs/explanation/planted.md.
--
-- column                    type     unit  meaning
-- dataset, model_id, run_id, layer, unit, concept, category, origin, other_concept,
-- fresh_forms, fresh_image_count, fresh_control_count, fresh_auc, other_fresh_auc,
-- permuted_fresh_auc, fresh_mad, other_fresh_mad, permuted_fresh_mad, purity,
-- other_purity, permuted_purity, detection, other_detection, permuted_detection,
-- fired_count, near_miss_count, prediction, other_prediction, permuted_prediction,
-- faithfulness, other_faithfulness, direction_faithfulness, agreement, other_agreement,
-- permuted_agreement, is_fresh_supported, is_purity_supported, is_detection_supported,
-- is_prediction_supported, is_faithfulness_supported, is_agreement_supported,
-- supported_count, measured_count
-- is_unsupported            boolean        no score that was measured supports it; null
--                                          if none was
select
    dataset, model_id, run_id, layer, unit, concept, category, origin, other_concept,
    fresh_forms, fresh_image_count, fresh_control_count, fresh_auc, other_fresh_auc,
    permuted_fresh_auc, fresh_mad, other_fresh_mad, permuted_fresh_mad, purity,
    other_purity, permuted_purity, detection, other_detection, permuted_detection,
    fired_count, near_miss_count, prediction, other_prediction, permuted_prediction,
    faithfulness, other_faithfulness, direction_faithfulness, agreement,
    other_agreement, permuted_agreement, is_fresh_supported, is_purity_supported,
    is_detection_supported, is_prediction_supported, is_faithfulness_supported,
    is_agreement_supported, supported_count, measured_count,
    case when measured_count > 0 then supported_count = 0 end as is_unsupported,
from scored_labels
where is_labelled;
