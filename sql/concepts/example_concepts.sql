-- view:    example_concepts
-- grain:   one row per (dataset, example_id, concept, category, origin)
-- key:     dataset, example_id, concept, category, origin
-- reads:   named_concepts, image_texts, stg_examples, stg_stated_concepts
-- purpose: What each example shows, as its texts say, with the words that say so.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030 (families of concepts)
--
-- The first example of a group of copies that came without a text shows what the texts
-- say that image_texts lends it. One of which nothing is stated shows what is stated of
-- the next one in the group of which something is.
--
-- column  type  unit  meaning
-- dataset, example_id, concept, category, origin, text_count, language_count,
-- languages, evidence, evidence_language
with

stated_lenders as (
    select
        dataset,
        duplicate_of as example_id,
        min(stg_examples.example_id) as came_with,
    from stg_examples
    semi join stg_stated_concepts using (dataset, example_id)
    where duplicate_of is not null
    group by all
),

lent as (
    select distinct
        dataset, came_with,
        example_id as borrower,
        false as is_stated,
    from image_texts
    where came_with <> image_texts.example_id
    union all
    select
        dataset, came_with,
        example_id as borrower,
        true as is_stated,
    from stated_lenders
    anti join stg_stated_concepts using (dataset, example_id)
)

select
    dataset, example_id, concept, category, origin, text_count, language_count,
    languages, evidence, evidence_language,
from named_concepts
union all
select
    named_concepts.dataset, borrower, concept, category, origin, text_count,
    language_count, languages, evidence, evidence_language,
from lent
inner join named_concepts
    on
        lent.dataset = named_concepts.dataset
        and lent.came_with = named_concepts.example_id
        and lent.is_stated = (origin = 'stated');
