-- view:    image_embeddings
-- grain:   one row per example of a run
-- key:     dataset, run_id, example_id
-- reads:   raw_embeddings, stg_runs
-- purpose: The model's image embedding of every example.
--
-- column     type     unit       meaning
-- dataset, model_id, run_id, example_id
-- embedding  float[]  L2 norm 1  image embedding; cosine = list_inner_product
select
    dataset, model_id, run_id, example_id, embedding,
from raw_embeddings
inner join stg_runs using (dataset, run_id);
