-- view:    check_foreign_keys
-- grain:   one row per kind of row that refers to nothing
-- key:     table_name, refers_to
-- reads:   raw_texts, raw_stimuli, raw_embeddings, raw_shard_top, raw_shard_samples,
--          raw_merged_samples, raw_activations, raw_duplicates, raw_examples,
--          raw_shard_stats, raw_layers, raw_shards, raw_run_shards
-- purpose: Rows that refer to a shard, an example or a layer that is not there.
--
-- Which image a copy repeats, in whatever shard: see check_duplicates.
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
    anti join raw_examples using (dataset, example_id)
    union all
    select 'examples' as table_name, 'shards' as refers_to,
    from raw_examples
    anti join raw_shards
        on
            raw_examples.dataset = raw_shards.dataset
            and raw_examples.shard_ordinal = raw_shards.shard_ordinal
            and (raw_examples.example_id >> 20) = raw_shards.shard_ordinal
    union all
    select 'embeddings' as table_name, 'run_shards' as refers_to,
    from raw_embeddings
    anti join raw_run_shards
        on
            raw_embeddings.dataset = raw_run_shards.dataset
            and raw_embeddings.run_id = raw_run_shards.run_id
            and (raw_embeddings.example_id >> 20) = raw_run_shards.shard_ordinal
    union all
    select 'shard_stats' as table_name, 'run_shards' as refers_to,
    from raw_shard_stats
    anti join raw_run_shards using (dataset, run_id, shard_ordinal)
    union all
    select 'shard_samples' as table_name, 'run_shards' as refers_to,
    from raw_shard_samples
    anti join raw_run_shards using (dataset, run_id, shard_ordinal)
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
