-- view:    contrasting_examples
-- grain:   one row per neuron and rank
-- key:     dataset, run_id, layer, unit, contrast_rank
-- reads:   raw_contrasting_examples, stg_runs
-- purpose: Images like a neuron's top examples that leave it cold: the near misses.
--
-- neurons build computes it (pipeline/evidence/clarity.py); before that it has no rows.
-- The ten images nearest in embedding to the mean of the neuron's top examples, among
-- those whose activation is at or below its median (0 for a neuron that rests on half
-- of the images). Looked for among the distinct images of the run, or 100,000 of them
-- drawn by hash.
--
-- column  type  unit  meaning
-- dataset, model_id, run_id, layer, unit, contrast_rank, example_id, cosine, activation
select
    dataset, model_id, run_id, layer, unit, contrast_rank, example_id, cosine,
    activation,
from raw_contrasting_examples
inner join stg_runs using (dataset, run_id);
