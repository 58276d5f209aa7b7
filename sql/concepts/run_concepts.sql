-- view:    run_concepts
-- grain:   one row per (run, distinct image, concept, category, origin)
-- key:     dataset, run_id, example_id, concept, category, origin
-- reads:   stg_run_examples, stg_examples, stg_stimuli, raw_concept_scores,
--          example_concepts, lexicon_phrases, settings
-- purpose: What each image of a run shows, and who says so.
--
-- Origin texts: a phrase of its texts, or a person in the title of a page. Origin
-- stimulus: by construction; of an attacked image what the clean one shows. Origin
-- similarity: the model itself gives the concept's prompts a probability of at least
-- similarity_min_score among all concepts (neurons similarity); it is the run's own
-- opinion, not evidence from outside.
--
-- column      type     unit  meaning
-- dataset     varchar        name of the dataset
-- run_id      varchar        the run
-- example_id  bigint   id    the example
-- half        varchar        screening or testing
-- concept     varchar        English name of the concept; a person's title
-- category    varchar        family that it belongs to
-- origin      varchar        texts, stimulus or similarity
with

distinct_images as (
    select
        stg_run_examples.dataset,
        stg_run_examples.run_id,
        stg_run_examples.example_id,
        stg_examples.half,
    from stg_run_examples
    inner join stg_examples
        on
            stg_run_examples.dataset = stg_examples.dataset
            and stg_run_examples.example_id = stg_examples.example_id
    where not stg_run_examples.is_duplicate
),

told as (
    select distinct
        example_concepts.dataset,
        example_concepts.example_id,
        example_concepts.concept,
        example_concepts.category,
        'texts' as origin,
    from example_concepts
    union all
    select
        stg_stimuli.dataset,
        stg_stimuli.example_id,
        stg_stimuli.concept,
        coalesce(stg_stimuli.category, 'none') as category,
        'stimulus' as origin,
    from stg_stimuli
    where stg_stimuli.concept is not null
),

categories as (
    select distinct
        lexicon_phrases.concept,
        lexicon_phrases.category,
    from lexicon_phrases
),

likely as (
    select
        raw_concept_scores.dataset,
        raw_concept_scores.run_id,
        raw_concept_scores.example_id,
        raw_concept_scores.concept,
        coalesce(categories.category, 'person') as category,
    from raw_concept_scores
    cross join settings
    left join categories
        on raw_concept_scores.concept = categories.concept
    where raw_concept_scores.probability >= settings.similarity_min_score
)

select
    distinct_images.dataset,
    distinct_images.run_id,
    distinct_images.example_id,
    distinct_images.half,
    told.concept,
    told.category,
    told.origin,
from distinct_images
inner join told
    on
        distinct_images.dataset = told.dataset
        and distinct_images.example_id = told.example_id
union all
select
    distinct_images.dataset,
    distinct_images.run_id,
    distinct_images.example_id,
    distinct_images.half,
    likely.concept,
    likely.category,
    'similarity' as origin,
from distinct_images
inner join likely
    on
        distinct_images.dataset = likely.dataset
        and distinct_images.run_id = likely.run_id
        and distinct_images.example_id = likely.example_id;
