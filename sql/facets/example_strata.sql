-- view:    example_strata
-- grain:   one row per (run, distinct image, dimension, stratum, facet_origin)
-- key:     dataset, run_id, example_id, dimension, stratum, facet_origin
-- reads:   example_facets, stg_distinct_images, stg_stimuli, text_tokens, settings
-- purpose: The groups within which a neuron is asked for a concept: forms, languages.
--
-- Dimension facet: the form of the image. Dimension word language: of rendered words
-- the language that they are written in. Dimension text language: the languages of the
-- texts that came with the image, so that an image may be in several.
--
-- column        type     unit  meaning
-- dataset, run_id, example_id
-- dimension     varchar        facet, word language or text language
-- stratum       varchar        the facet, or the language (BCP 47, its first part)
-- facet_origin  varchar        stimulus, similarity or texts: whose word the stratum is
with

text_languages as (
    select distinct dataset, example_id, base_language,
    from text_tokens
)

select
    dataset, run_id, example_id,
    'facet' as dimension,
    facet as stratum,
    facet_origin,
from example_facets
union all
select
    dataset, run_id, example_id,
    'word language' as dimension,
    base_language(language, default_language) as stratum,
    'stimulus' as facet_origin,
from stg_distinct_images
inner join stg_stimuli using (dataset, example_id)
cross join settings
where facet = 'rendered word' and language is not null
union all
select
    dataset, run_id, example_id,
    'text language' as dimension,
    base_language as stratum,
    'texts' as facet_origin,
from stg_distinct_images
inner join text_languages using (dataset, example_id);
