-- view:    check_foreign_keys
-- grain:   one row per kind of row that refers to nothing
-- key:     table_name, refers_to
-- reads:   raw_texts, raw_stimuli, raw_embeddings, raw_shard_top, raw_shard_samples,
--          raw_activations, raw_duplicates, raw_examples, raw_layers
-- purpose: Rows that refer to an example or a layer that is not there.
--
-- column      type     unit   meaning
-- table_name  varchar         table
-- refers_to   varchar         what is missing
-- row_count   bigint   count  rows without it
with

orphans as (
    select
        'texts' as table_name,
        'examples' as refers_to,
        count(*) as row_count,
    from raw_texts
    anti join raw_examples
        on
            raw_texts.dataset = raw_examples.dataset
            and raw_texts.example_id = raw_examples.example_id

    union all

    select
        'stimuli' as table_name,
        'examples' as refers_to,
        count(*) as row_count,
    from raw_stimuli
    anti join raw_examples
        on
            raw_stimuli.dataset = raw_examples.dataset
            and raw_stimuli.example_id = raw_examples.example_id

    union all

    select
        'duplicates' as table_name,
        'examples' as refers_to,
        count(*) as row_count,
    from raw_duplicates
    anti join raw_examples
        on
            raw_duplicates.dataset = raw_examples.dataset
            and raw_duplicates.duplicate_of = raw_examples.example_id

    union all

    select
        'embeddings' as table_name,
        'examples' as refers_to,
        count(*) as row_count,
    from raw_embeddings
    anti join raw_examples
        on
            raw_embeddings.dataset = raw_examples.dataset
            and raw_embeddings.example_id = raw_examples.example_id

    union all

    select
        'shard_top' as table_name,
        'embeddings' as refers_to,
        count(*) as row_count,
    from raw_shard_top
    anti join raw_embeddings
        on
            raw_shard_top.dataset = raw_embeddings.dataset
            and raw_shard_top.run_id = raw_embeddings.run_id
            and raw_shard_top.example_id = raw_embeddings.example_id

    union all

    select
        'shard_samples' as table_name,
        'embeddings' as refers_to,
        count(*) as row_count,
    from raw_shard_samples
    anti join raw_embeddings
        on
            raw_shard_samples.dataset = raw_embeddings.dataset
            and raw_shard_samples.run_id = raw_embeddings.run_id
            and raw_shard_samples.example_id = raw_embeddings.example_id

    union all

    select
        'activations' as table_name,
        'embeddings' as refers_to,
        count(*) as row_count,
    from raw_activations
    anti join raw_embeddings
        on
            raw_activations.dataset = raw_embeddings.dataset
            and raw_activations.run_id = raw_embeddings.run_id
            and raw_activations.example_id = raw_embeddings.example_id

    union all

    select
        'activations' as table_name,
        'layers' as refers_to,
        count(*) as row_count,
    from raw_activations
    anti join raw_layers
        on
            raw_activations.dataset = raw_layers.dataset
            and raw_activations.run_id = raw_layers.run_id
            and raw_activations.layer = raw_layers.layer
)

select
    orphans.table_name,
    orphans.refers_to,
    orphans.row_count,
from orphans
where orphans.row_count > 0;
