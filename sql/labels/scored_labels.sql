-- view:    scored_labels
-- grain:   one row per (run_id, layer, unit), for every unit of every layer
-- key:     dataset, run_id, layer, unit
-- reads:   tested_labels, raw_label_scores, raw_fresh_scores, neuron_faithfulness
-- purpose: Every neuron's test, and what the scores that did not choose its label say.
--
-- Of it neuron_labels and label_evidence are made; what the scores mean and from where
-- they support a label is told there. Of neurons without a label all scores are null.
--
-- column                      type     unit     meaning
-- dataset, model_id, run_id, layer, unit, concept, category, origin, score, z, q_value,
-- positive_count, top_count, top_size, lift, runner_up, runner_up_score, margin,
-- agreement, enrichment_concept, auroc_concept, soft_wpmi_concept, is_labelled,
-- is_circular, reason
-- other_concept, other_agreement, permuted_agreement, purity, other_purity,
-- permuted_purity, detection, other_detection, permuted_detection, fired_count,
-- near_miss_count, prediction, other_prediction, permuted_prediction
-- fresh_forms                 varchar           forms of its fresh images
-- fresh_image_count           integer  count    fresh images that show it
-- fresh_control_count         integer  count    fresh images of others, in these forms
-- fresh_auc                   double   0..1     AUC on fresh images
-- other_fresh_auc             double   0..1     the same of the other label
-- permuted_fresh_auc          double   0..1     of permuted fresh images
-- fresh_mad                   double   SD       mean activation difference on them
-- other_fresh_mad             double   SD       the same of the other label
-- permuted_fresh_mad          double   SD       of permuted fresh images
-- faithfulness, other_faithfulness, direction_faithfulness
-- is_fresh_supported          boolean           whether AUC and MAD support the label
-- is_purity_supported         boolean           whether purity does
-- is_detection_supported      boolean           whether detection does
-- is_prediction_supported     boolean           whether prediction does
-- is_faithfulness_supported   boolean           whether faithfulness does
-- is_agreement_supported      boolean           whether agreement does
-- supported_count             bigint   0..6     how many support it; null: no label
-- measured_count              bigint   0..6     of how many; null if it has no label
with

measured as (
    select
        tested_labels.*,
        scores.* exclude (dataset, run_id, layer, unit, concept, category, origin),
        fresh.forms as fresh_forms,
        fresh.image_count as fresh_image_count,
        fresh.control_count as fresh_control_count,
        fresh.auc::double as fresh_auc,
        other.auc::double as other_fresh_auc,
        fresh.permuted_auc::double as permuted_fresh_auc,
        fresh.mad::double as fresh_mad,
        other.mad::double as other_fresh_mad,
        fresh.permuted_mad::double as permuted_fresh_mad,
        faithfulness, other_faithfulness, direction_faithfulness,
    from tested_labels
    left join raw_label_scores as scores
        using (dataset, run_id, layer, unit, concept, category, origin)
    left join raw_fresh_scores as fresh using (dataset, run_id, layer, unit, concept)
    left join raw_fresh_scores as other
        on
            tested_labels.dataset = other.dataset
            and tested_labels.run_id = other.run_id
            and tested_labels.layer = other.layer
            and tested_labels.unit = other.unit
            and scores.other_concept = other.concept
    left join neuron_faithfulness
        using (dataset, run_id, layer, unit, concept)
),

judged as (
    select
        *,
        is_supported(fresh_auc, 0.9, other_fresh_auc, permuted_fresh_auc)
        and coalesce(
            is_supported(fresh_mad, 1.0, other_fresh_mad, permuted_fresh_mad), true
        ) as is_fresh_supported,
        is_supported(purity, 0.5, other_purity, permuted_purity) as is_purity_supported,
        is_supported(detection, 0.75, other_detection, permuted_detection)
            as is_detection_supported,
        is_supported(prediction, 0.3, other_prediction, permuted_prediction)
            as is_prediction_supported,
        is_supported(faithfulness, 0.1, other_faithfulness, direction_faithfulness)
            as is_faithfulness_supported,
        is_supported(agreement, 2, other_agreement, permuted_agreement)
            as is_agreement_supported,
        [
            is_fresh_supported, is_purity_supported, is_detection_supported,
            is_prediction_supported, is_faithfulness_supported, is_agreement_supported,
        ] as votes,
    from measured
)

select
    dataset, model_id, run_id, layer, unit, concept, category, origin, score, z,
    q_value, positive_count, top_count, top_size, lift, runner_up, runner_up_score,
    margin, agreement, enrichment_concept, auroc_concept, soft_wpmi_concept,
    is_labelled, is_circular, reason, other_concept, other_agreement,
    permuted_agreement, purity, other_purity, permuted_purity, detection,
    other_detection, permuted_detection, fired_count, near_miss_count, prediction,
    other_prediction, permuted_prediction, fresh_forms, fresh_image_count,
    fresh_control_count, fresh_auc, other_fresh_auc, permuted_fresh_auc, fresh_mad,
    other_fresh_mad, permuted_fresh_mad, faithfulness, other_faithfulness,
    direction_faithfulness, is_fresh_supported, is_purity_supported,
    is_detection_supported, is_prediction_supported, is_faithfulness_supported,
    is_agreement_supported,
    case when is_labelled then len(list_filter(votes, lambda vote: vote)) end
        as supported_count,
    case when is_labelled then len(list_filter(votes, lambda vote: vote is not null))
    end as measured_count,
from judged;
