-- view:    stg_run_examples
-- grain:   one row per example that a run processed
-- key:     dataset, run_id, example_id
-- reads:   raw_embeddings, raw_duplicates, stg_runs
-- purpose: Which examples a run holds: the universe of its statistics.
--
-- column        type     unit  meaning
-- dataset, run_id, model_id, example_id
-- is_duplicate  boolean        an earlier example shows the same image
select
    dataset, run_id, model_id, example_id,
    raw_duplicates.example_id is not null as is_duplicate,
from raw_embeddings
inner join stg_runs using (dataset, run_id)
left join raw_duplicates using (dataset, example_id);
