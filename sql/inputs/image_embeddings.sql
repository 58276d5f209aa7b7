-- view:    image_embeddings
-- grain:   one row per example of a run
-- key:     dataset, run_id, example_id
-- reads:   raw_embeddings, stg_runs
-- purpose: The model's image embedding of every example.
--
-- column      type     unit       meaning
-- dataset     varchar             name of the dataset
-- model_id    varchar             architecture:pretrained
-- run_id      varchar             the run
-- example_id  bigint   id         the example
-- embedding   float[]  L2 norm 1  image embedding; cosine = list_inner_product
select
    dataset, model_id, run_id, example_id, embedding,
from raw_embeddings
inner join stg_runs using (dataset, run_id);
