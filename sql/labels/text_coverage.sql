-- view:    text_coverage
-- grain:   one row per (run, language, category)
-- key:     dataset, run_id, language, category
-- reads:   stg_distinct_images, image_texts, example_concepts, lexicon_coverage,
--          settings
-- purpose: In how many images the texts of a language name a concept of a family.
--
-- Beside it stands how many concepts of the family the lexicon has in that language: 0
-- means that no text of it could. The texts are those that are searched.
--
-- column                 type     unit    meaning
-- dataset, run_id
-- language               varchar  BCP 47  base language of the texts
-- category               varchar          family of concepts
-- image_count            bigint   count   distinct images with a text in it
-- concept_image_count    bigint   count   of these, whose texts name a concept
-- concept_frac           double   0..1    share of the latter
-- lexicon_concept_count  bigint   count   concepts that the lexicon has in it
with

families as (
    select distinct category,
    from lexicon_coverage
),

images as (
    select
        dataset, run_id,
        base_language(language, default_language) as base_language,
        count(distinct example_id) as image_count,
    from stg_distinct_images
    inner join image_texts using (dataset, example_id)
    cross join settings
    where list_contains(text_kinds, text_kind)
    group by all
),

named as (
    select
        dataset, example_id, category,
        unnest(languages) as base_language,
    from example_concepts
    where origin = 'texts'
),

naming as (
    select
        dataset, run_id, base_language, category,
        count(distinct example_id) as concept_image_count,
    from stg_distinct_images
    inner join named using (dataset, example_id)
    group by all
)

select
    images.dataset, images.run_id,
    images.base_language as language,
    families.category,
    image_count,
    coalesce(concept_image_count, 0) as concept_image_count,
    coalesce(concept_image_count, 0) / image_count as concept_frac,
    coalesce(lexicon_coverage.concept_count, 0) as lexicon_concept_count,
from images
cross join families
left join naming
    on
        images.dataset = naming.dataset
        and images.run_id = naming.run_id
        and images.base_language = naming.base_language
        and families.category = naming.category
left join lexicon_coverage
    on
        images.base_language = lexicon_coverage.language
        and families.category = lexicon_coverage.category;
