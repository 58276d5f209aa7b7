-- view:    image_texts
-- grain:   one row per (example, language, text_kind, text_rank)
-- key:     dataset, example_id, language, text_kind, text_rank
-- reads:   stg_texts, stg_examples
-- purpose: The texts that say what an image shows.
--
-- They are an example's own. Where the first example of a group came without any, they
-- are those of the next one in the group that has some: a group counts by its first
-- example, and a picture must not lose its caption to a bare copy that came before it.
-- Facets by language of the text (example_strata) take an example's own texts alone.
--
-- column      type     unit  meaning
-- dataset
-- example_id  bigint   id    the example they speak for
-- language
-- text_kind   varchar        caption, alt, attribution, page_title, section ...
-- text_rank
-- text        varchar        the text
-- page_title  varchar        title of the page it stood on, or null
-- came_with   bigint   id    the example that it came with
with

lenders as (
    select
        dataset,
        duplicate_of as example_id,
        min(stg_examples.example_id) as came_with,
    from stg_examples
    semi join stg_texts using (dataset, example_id)
    where duplicate_of is not null
    group by all
),

borrowers as (
    select *
    from lenders
    anti join stg_texts using (dataset, example_id)
)

select
    dataset, example_id, language, text_kind, text_rank, text, page_title,
    example_id as came_with,
from stg_texts
union all
select
    borrowers.dataset, borrowers.example_id, language, text_kind, text_rank, text,
    page_title, came_with,
from borrowers
inner join stg_texts
    on
        borrowers.dataset = stg_texts.dataset
        and borrowers.came_with = stg_texts.example_id;
