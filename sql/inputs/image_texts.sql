-- view:    image_texts
-- grain:   one row per (example, language, text_kind, text_rank)
-- key:     dataset, example_id, language, text_kind, text_rank
-- reads:   stg_texts, stg_examples
-- purpose: The texts that say what an image shows.
--
-- They are an example's own. Where the first example of a group came without any, they
-- are those of the next one in the group that has some: a group counts by its first
-- example, and a picture must not lose its caption to a bare copy that came before it.
--
-- column      type     unit      meaning
-- dataset     varchar            name of the dataset
-- example_id  bigint   id        the example they speak for
-- language    varchar  BCP 47    language of the text; 'und' if unknown
-- text_kind   varchar            caption, alt, attribution, page_title, section ...
-- text_rank   integer  rank 1..  order among texts of the same language and kind
-- text        varchar            the text
-- page_title  varchar            title of the page it stood on, or null
-- came_with   bigint   id        the example that it came with
with

lenders as (
    select
        stg_examples.dataset,
        stg_examples.duplicate_of as example_id,
        min(stg_examples.example_id) as came_with,
    from stg_examples
    semi join stg_texts
        on
            stg_examples.dataset = stg_texts.dataset
            and stg_examples.example_id = stg_texts.example_id
    where stg_examples.duplicate_of is not null
    group by stg_examples.dataset, stg_examples.duplicate_of
),

borrowers as (
    select
        lenders.dataset,
        lenders.example_id,
        lenders.came_with,
    from lenders
    anti join stg_texts
        on
            lenders.dataset = stg_texts.dataset
            and lenders.example_id = stg_texts.example_id
)

select
    stg_texts.*,
    stg_texts.example_id as came_with,
from stg_texts
union all
select
    stg_texts.* replace (borrowers.example_id as example_id),
    borrowers.came_with,
from borrowers
inner join stg_texts
    on
        borrowers.dataset = stg_texts.dataset
        and borrowers.came_with = stg_texts.example_id;
