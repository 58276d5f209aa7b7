-- view:    warn_examples_without_texts
-- grain:   one row per dataset
-- key:     dataset
-- reads:   stg_examples, stg_texts
-- purpose: Examples that came without any text: no concept can be found in them.
--
-- column          type    unit   meaning
-- dataset
-- example_count   bigint  count  examples
-- textless_count  bigint  count  of these, examples without any text
with

texted as (
    select distinct
        dataset, example_id,
    from stg_texts
)

select
    dataset,
    count(*) as example_count,
    count(*) filter (where texted.example_id is null) as textless_count,
from stg_examples
left join texted using (dataset, example_id)
group by all
having textless_count > 0;
