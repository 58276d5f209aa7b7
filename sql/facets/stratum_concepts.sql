-- view:    stratum_concepts
-- grain:   one row per (run, distinct image, stratum, concept, category, origin)
-- key:     dataset, run_id, example_id, dimension, stratum, facet_origin, concept,
--          category, origin
-- reads:   run_concepts, example_strata, named_concepts
-- purpose: Which images of a stratum show a concept: positives of the Halle Berry test.
--
-- Within facets and languages of rendered words an image shows what run_concepts says.
-- Within a language of texts it shows what its texts in that very language name; that
-- texts in another language name it does not count. People, who are found by the titles
-- of pages in any language, are not told apart by language.
--
-- column  type     unit  meaning
-- dataset, run_id, example_id, dimension, stratum, facet_origin, concept, category
-- origin  varchar        stimulus, texts or similarity: whose word the concept is
with

named_in_languages as (
    select
        dataset, example_id, concept, category,
        unnest(languages) as base_language,
    from named_concepts
    where origin = 'texts'
)

select
    dataset, run_id, example_id, dimension, stratum, facet_origin,
    concept, category, origin,
from example_strata
inner join run_concepts using (dataset, run_id, example_id)
where dimension <> 'text language'
union all
select
    example_strata.dataset, run_id, example_strata.example_id, dimension, stratum,
    facet_origin, concept, category,
    'texts' as origin,
from example_strata
inner join named_in_languages
    on
        example_strata.dataset = named_in_languages.dataset
        and example_strata.example_id = named_in_languages.example_id
        and example_strata.stratum = named_in_languages.base_language
where dimension = 'text language';
