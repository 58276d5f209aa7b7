-- view:    check_foreign_keys
-- grain:   one row per kind of row that refers to nothing
-- key:     table_name, refers_to
-- reads:   raw_texts, raw_stimuli, raw_embeddings, raw_shard_top, raw_shard_samples,
--          raw_merged_samples, raw_activations, raw_duplicates, raw_examples,
--          raw_layers
-- purpose: Rows that refer to an example or a layer that is not there.
--
-- column      type     unit   meaning
-- table_name  varchar         table
-- refers_to   varchar         what is missing
-- row_count   bigint   count  rows without it
with

orphans as (
    select 'texts' as table_name, 'examples' as refers_to,
    from raw_texts
    anti join raw_examples using (dataset, example_id)
    union all
    select 'stimuli' as table_name, 'examples' as refers_to,
    from raw_stimuli
    anti join raw_examples using (dataset, example_id)
    union all
    select 'duplicates' as table_name, 'examples' as refers_to,
    from raw_duplicates
    anti join raw_examples
        on
            raw_duplicates.dataset = raw_examples.dataset
            and raw_duplicates.duplicate_of = raw_examples.example_id
    union all
    select 'embeddings' as table_name, 'examples' as refers_to,
    from raw_embeddings
    anti join raw_examples using (dataset, example_id)
    union all
    select 'shard_top' as table_name, 'embeddings' as refers_to,
    from raw_shard_top
    anti join raw_embeddings using (dataset, run_id, example_id)
    union all
    select 'shard_samples' as table_name, 'embeddings' as refers_to,
    from raw_shard_samples
    anti join raw_embeddings using (dataset, run_id, example_id)
    union all
    select 'merged_samples' as table_name, 'embeddings' as refers_to,
    from raw_merged_samples
    anti join raw_embeddings using (dataset, run_id, example_id)
    union all
    select 'activations' as table_name, 'embeddings' as refers_to,
    from raw_activations
    anti join raw_embeddings using (dataset, run_id, example_id)
    union all
    select 'activations' as table_name, 'layers' as refers_to,
    from raw_activations
    anti join raw_layers using (dataset, run_id, layer)
)

select
    table_name, refers_to,
    count(*) as row_count,
from orphans
group by all;
