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
    raw_embeddings.dataset,
    stg_runs.model_id,
    raw_embeddings.run_id,
    raw_embeddings.example_id,
    raw_embeddings.embedding,
from raw_embeddings
inner join stg_runs
    on
        raw_embeddings.dataset = stg_runs.dataset
        and raw_embeddings.run_id = stg_runs.run_id;
