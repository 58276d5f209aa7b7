-- view:    check_unique_keys
-- grain:   one row per key that stands twice
-- key:     table_name, key_text
-- reads:   raw_examples, raw_texts, raw_embeddings, raw_shard_stats
-- purpose: Keys that are not unique.
--
-- column      type     unit   meaning
-- table_name  varchar         table
-- key_text    varchar         the key
-- row_count   bigint   count  rows with that key
with

counted as (
    select
        'examples' as table_name,
        concat_ws(' ', raw_examples.dataset, raw_examples.example_id) as key_text,
        count(*) as row_count,
    from raw_examples
    group by raw_examples.dataset, raw_examples.example_id
    having count(*) > 1

    union all

    select
        'examples by shard_key' as table_name,
        concat_ws(
            ' ',
            raw_examples.dataset,
            raw_examples.shard_ordinal,
            raw_examples.shard_key
        ) as key_text,
        count(*) as row_count,
    from raw_examples
    group by raw_examples.dataset, raw_examples.shard_ordinal, raw_examples.shard_key
    having count(*) > 1

    union all

    select
        'texts' as table_name,
        concat_ws(
            ' ',
            raw_texts.dataset,
            raw_texts.example_id,
            raw_texts.language,
            raw_texts.text_kind,
            raw_texts.text_rank
        ) as key_text,
        count(*) as row_count,
    from raw_texts
    group by all
    having count(*) > 1

    union all

    select
        'embeddings' as table_name,
        concat_ws(
            ' ',
            raw_embeddings.dataset,
            raw_embeddings.run_id,
            raw_embeddings.example_id
        ) as key_text,
        count(*) as row_count,
    from raw_embeddings
    group by raw_embeddings.dataset, raw_embeddings.run_id, raw_embeddings.example_id
    having count(*) > 1

    union all

    select
        'shard_stats' as table_name,
        concat_ws(
            ' ',
            raw_shard_stats.run_id,
            raw_shard_stats.layer,
            raw_shard_stats.unit,
            raw_shard_stats.shard_ordinal
        ) as key_text,
        count(*) as row_count,
    from raw_shard_stats
    group by
        raw_shard_stats.dataset,
        raw_shard_stats.run_id,
        raw_shard_stats.layer,
        raw_shard_stats.unit,
        raw_shard_stats.shard_ordinal
    having count(*) > 1
)

select
    counted.table_name,
    counted.key_text,
    counted.row_count,
from counted;
