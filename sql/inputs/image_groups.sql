-- view:    image_groups
-- grain:   one row per indexed example
-- key:     dataset, example_id
-- reads:   stg_examples
-- purpose: Which examples show one image: a file, the same file again, copies of it.
--
-- A group is known by its first example. It lies in one half, counts once wherever a
-- view says distinct images (by its first example, see image_texts), and is permuted
-- as one. Copies (resized or encoded anew, grey, cropped by a few per cent)
-- are found by what the images look like, unless the dataset takes identical files only
-- (neurons ingest --duplicates exact). Every copy is like the first, not merely like
-- another copy. Controlled stimuli differ by construction, however alike: of them only
-- identical files are a group. Distinct images: count(*) where member_rank = 1.
--
-- column          type     unit      meaning
-- dataset, example_id
-- group_id        bigint   id        first example of its group; its own if it is first
-- member_rank     bigint   rank 1..  order in the group; 1 = the first example
-- copy_kind       varchar            first, identical, resized, grey or cropped
-- group_size      bigint   count     examples of the group
-- identical_size  bigint   count     of these, the first and files identical to it
-- half
with

members as (
    select
        * replace (coalesce(copy_kind, 'first') as copy_kind),
        coalesce(duplicate_of, example_id) as group_id,
    from stg_examples
)

select
    dataset, example_id, group_id,
    row_number() over (one_group order by copy_kind <> 'first', example_id)
        as member_rank,
    copy_kind,
    count(*) over one_group as group_size,
    count(*) filter (where copy_kind in ('first', 'identical')) over one_group
        as identical_size,
    half,
from members
window one_group as (partition by dataset, group_id);
