-- view:    check_finite
-- grain:   one row per table and value that is not finite
-- key:     table_name, key_text
-- reads:   raw_activations, raw_shard_stats, raw_embeddings
-- purpose: Values that are NaN or infinite.
--
-- column      type     unit  meaning
-- table_name  varchar        table
-- key_text    varchar        where
-- value       double         the value
with

found as (
    select
        'activations' as table_name,
        concat_ws(
            ' ',
            raw_activations.run_id,
            raw_activations.layer,
            raw_activations.unit,
            raw_activations.example_id
        ) as key_text,
        raw_activations.activation::double as value,
    from raw_activations
    where not isfinite(raw_activations.activation)

    union all

    select
        'shard_stats' as table_name,
        concat_ws(
            ' ', raw_shard_stats.run_id, raw_shard_stats.layer, raw_shard_stats.unit
        ) as key_text,
        raw_shard_stats.activation_sum as value,
    from raw_shard_stats
    where
        not isfinite(raw_shard_stats.activation_sum)
        or not isfinite(raw_shard_stats.activation_sum_sq)

    union all

    select
        'embeddings' as table_name,
        concat_ws(' ', raw_embeddings.run_id, raw_embeddings.example_id) as key_text,
        list_sum(raw_embeddings.embedding)::double as value,
    from raw_embeddings
    where not isfinite(list_sum(raw_embeddings.embedding))
)

select
    found.table_name,
    found.key_text,
    found.value,
from found;
