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
select
    'activations' as table_name,
    concat_ws(' ', run_id, layer, unit, example_id) as key_text,
    activation::double as value,
from raw_activations
where not isfinite(activation)
union all
select
    'shard_stats' as table_name,
    concat_ws(' ', run_id, layer, unit) as key_text,
    activation_sum as value,
from raw_shard_stats
where not isfinite(activation_sum) or not isfinite(activation_sum_sq)
union all
select
    'embeddings' as table_name,
    concat_ws(' ', run_id, example_id) as key_text,
    list_sum(embedding)::double as value,
from raw_embeddings
where not isfinite(list_sum(embedding));
