-- view:    class_scores
-- grain:   one row per example of a run and class of a class set
-- key:     dataset, run_id, class_set, example_id, class_name
-- reads:   raw_class_scores, stg_runs
-- purpose: Zero-shot classification: how much each image is of each class.
-- cite:    Radford et al. 2021, arXiv:2103.00020, section 3.1.4
--
-- Computed from the image embeddings that the run stores (float16), so logits differ
-- from the model's own by about 0.001 (at most 0.01) where logit_scale is 100.
--
-- column     type     unit  meaning
-- dataset, model_id, run_id
-- class_set  varchar        the classes that it was chosen from; see class_sets
-- example_id, class_name, logit, probability
select
    dataset, model_id, run_id, class_set, example_id, class_name, logit, probability,
from raw_class_scores
inner join stg_runs using (dataset, run_id);
