-- view:    stratum_concepts
-- grain:   one row per (run, distinct image, stratum, concept, category, origin)
-- key:     dataset, run_id, example_id, dimension, stratum, facet_origin, concept,
--          category, origin
-- reads:   run_concepts, example_strata, text_concepts
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
select
    dataset, run_id, example_id, dimension, stratum, facet_origin,
    concept, category, origin,
from example_strata
inner join run_concepts using (dataset, run_id, example_id)
where dimension <> 'text language'
union all
select distinct
    example_strata.dataset, run_id, example_strata.example_id, dimension, stratum,
    facet_origin, concept, category,
    'texts' as origin,
from example_strata
inner join text_concepts
    on
        example_strata.dataset = text_concepts.dataset
        and example_strata.example_id = text_concepts.example_id
        and example_strata.stratum = text_concepts.base_language
where dimension = 'text language';
