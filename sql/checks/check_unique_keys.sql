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
select
    'examples' as table_name,
    concat_ws(' ', dataset, example_id) as key_text,
    count(*) as row_count,
from raw_examples
group by dataset, example_id
having count(*) > 1
union all
select
    'examples by shard_key' as table_name,
    concat_ws(' ', dataset, shard_ordinal, shard_key) as key_text,
    count(*) as row_count,
from raw_examples
group by dataset, shard_ordinal, shard_key
having count(*) > 1
union all
select
    'texts' as table_name,
    concat_ws(' ', dataset, example_id, language, text_kind, text_rank) as key_text,
    count(*) as row_count,
from raw_texts
group by all
having count(*) > 1
union all
select
    'embeddings' as table_name,
    concat_ws(' ', dataset, run_id, example_id) as key_text,
    count(*) as row_count,
from raw_embeddings
group by dataset, run_id, example_id
having count(*) > 1
union all
select
    'shard_stats' as table_name,
    concat_ws(' ', run_id, layer, unit, shard_ordinal) as key_text,
    count(*) as row_count,
from raw_shard_stats
group by dataset, run_id, layer, unit, shard_ordinal
having count(*) > 1;
