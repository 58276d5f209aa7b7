-- view:    stg_distinct_images
-- grain:   one row per distinct image of a run
-- key:     dataset, run_id, example_id
-- reads:   stg_run_examples
-- purpose: The images that count in rankings and tests: the first of each group.
--
-- column  type  unit  meaning
-- dataset, run_id, model_id, example_id
select dataset, run_id, model_id, example_id,
from stg_run_examples
where not is_duplicate;
