-- view:    check_human_labels
-- grain:   one row per human label of an image that the run does not hold
-- key:     dataset, run_id, layer, unit, labeller, example_id
-- reads:   human_labels, stg_run_examples
-- purpose: Human labels of examples that are not in their run, or are repeated images.
--
-- column  type  unit  meaning
-- dataset, run_id, layer, unit, labeller, example_id
select
    dataset, run_id, layer, unit, labeller, example_id,
from human_labels
left join stg_run_examples using (dataset, run_id, example_id)
where coalesce(is_duplicate, true);
