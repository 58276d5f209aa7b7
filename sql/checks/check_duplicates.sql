-- view:    check_duplicates
-- grain:   one row per example whose mark cannot be
-- key:     dataset, example_id
-- reads:   stg_examples
-- purpose: Repeated images that are not marked, and marks that lead nowhere.
--
-- column   type     unit  meaning
-- dataset, example_id, duplicate_of, image_sha256
-- problem  varchar        what is wrong
with

-- read once, and asked three times
grouped as materialized (
    select
        dataset, example_id, duplicate_of, image_sha256, half,
        coalesce(duplicate_of, example_id) as group_id,
    from stg_examples
),

shown as (
    select
        dataset, image_sha256,
        min(group_id) as first_group,
        max(group_id) as last_group,
    from grouped
    group by all
)

select
    dataset, grouped.example_id, grouped.duplicate_of, image_sha256,
    case
        when first_group <> last_group then 'identical files in two groups'
        when grouped.duplicate_of is not null and firsts.example_id is null
            then 'its first is not there'
        when firsts.duplicate_of is not null then 'its first is marked itself'
        else 'not in the half of its first'
    end as problem,
from grouped
inner join shown using (dataset, image_sha256)
left join grouped as firsts
    on grouped.dataset = firsts.dataset and grouped.duplicate_of = firsts.example_id
where
    first_group <> last_group
    or (grouped.duplicate_of is not null and firsts.example_id is null)
    or firsts.duplicate_of is not null
    or grouped.half <> firsts.half;
