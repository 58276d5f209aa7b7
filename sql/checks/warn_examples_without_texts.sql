-- view:    warn_examples_without_texts
-- grain:   one row per dataset
-- key:     dataset
-- reads:   stg_shards, stg_texts
-- purpose: Examples that came without any text: no concept can be found in them.
--
-- How many examples there are is what the shards say, which check_counts compares with
-- the files: so no more than the texts is read.
--
-- column          type    unit   meaning
-- dataset
-- example_count   bigint  count  examples
-- textless_count  bigint  count  of these, examples without any text
with

shown as (
    select
        dataset,
        sum(written_count)::bigint as example_count,
    from stg_shards
    where status = 'done'
    group by all
),

texted as (
    select
        dataset,
        count(distinct example_id) as texted_count,
    from stg_texts
    group by all
)

select
    dataset, example_count,
    example_count - coalesce(texted_count, 0) as textless_count,
from shown
left join texted using (dataset)
where textless_count > 0;
