-- view:    example_strata
-- grain:   one row per (run, distinct image, dimension, stratum, facet_origin)
-- key:     dataset, run_id, example_id, dimension, stratum, facet_origin
-- reads:   example_facets, stg_run_examples, stg_stimuli, text_tokens, settings
-- purpose: The groups within which a neuron is asked for a concept: forms, languages.
--
-- Dimension facet: the form of the image. Dimension word language: of rendered words
-- the language that they are written in. Dimension text language: the languages of the
-- texts that came with the image, so that an image may be in several.
--
-- column        type     unit    meaning
-- dataset       varchar          name of the dataset
-- run_id        varchar          the run
-- example_id    bigint   id      the example
-- dimension     varchar          facet, word language or text language
-- stratum       varchar          the facet, or the language (BCP 47, its first part)
-- facet_origin  varchar          stimulus, similarity or texts: whose word it is
with

distinct_images as (
    select
        stg_run_examples.dataset,
        stg_run_examples.run_id,
        stg_run_examples.example_id,
    from stg_run_examples
    where not stg_run_examples.is_duplicate
),

text_languages as (
    select distinct
        text_tokens.dataset,
        text_tokens.example_id,
        text_tokens.base_language,
    from text_tokens
)

select
    example_facets.dataset,
    example_facets.run_id,
    example_facets.example_id,
    'facet' as dimension,
    example_facets.facet as stratum,
    example_facets.facet_origin,
from example_facets
union all
select
    distinct_images.dataset,
    distinct_images.run_id,
    distinct_images.example_id,
    'word language' as dimension,
    base_language(stg_stimuli.language, settings.default_language) as stratum,
    'stimulus' as facet_origin,
from distinct_images
inner join stg_stimuli
    on
        distinct_images.dataset = stg_stimuli.dataset
        and distinct_images.example_id = stg_stimuli.example_id
cross join settings
where stg_stimuli.facet = 'rendered word' and stg_stimuli.language is not null
union all
select
    distinct_images.dataset,
    distinct_images.run_id,
    distinct_images.example_id,
    'text language' as dimension,
    text_languages.base_language as stratum,
    'texts' as facet_origin,
from distinct_images
inner join text_languages
    on
        distinct_images.dataset = text_languages.dataset
        and distinct_images.example_id = text_languages.example_id;
