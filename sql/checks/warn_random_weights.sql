-- view:    warn_random_weights
-- grain:   one row per run of a random model
-- key:     dataset, run_id
-- reads:   stg_runs
-- purpose: Runs of seeded random weights: their labels mean nothing.
--
-- column  type  unit  meaning
-- dataset, run_id, model_id
select
    dataset, run_id, model_id,
from stg_runs
where is_random;
