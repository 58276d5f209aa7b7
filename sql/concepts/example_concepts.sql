-- view:    example_concepts
-- grain:   one row per (dataset, example_id, concept, category, origin)
-- key:     dataset, example_id, concept, category, origin
-- reads:   named_concepts, image_texts
-- purpose: What each example shows, as its texts say, with the words that say so.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030 (families of concepts)
--
-- The first example of a group of copies that came without a text shows what the texts
-- say that image_texts lends it.
--
-- column  type  unit  meaning
-- dataset, example_id, concept, category, origin, text_count, language_count, evidence,
-- evidence_language
with

lent as (
    select distinct dataset, example_id as borrower, came_with as example_id,
    from image_texts
    where came_with <> image_texts.example_id
)

select
    dataset, example_id, concept, category, origin, text_count, language_count,
    evidence, evidence_language,
from named_concepts
union all
select
    dataset, borrower, concept, category, origin, text_count, language_count,
    evidence, evidence_language,
from lent
inner join named_concepts using (dataset, example_id);
