-- view:    run_concepts
-- grain:   one row per (run, distinct image, concept, category, origin)
-- key:     dataset, run_id, example_id, concept, category, origin
-- reads:   stg_distinct_images, example_concepts, stg_examples, stg_stimuli,
--          raw_concept_scores, lexicon, settings
-- purpose: What each image of a run shows, and who says so.
--
-- Origin texts: a phrase of its texts, a person in the title of a page, or what its
-- source states that it shows. Origin
-- stimulus: by construction; of an attacked image what the clean one shows. Origin
-- similarity: the model itself gives the concept's prompts a probability of at least
-- similarity_min_score among all concepts (neurons similarity); it is the run's own
-- opinion, not evidence from outside.
--
-- column  type     unit  meaning
-- dataset, run_id, example_id, half, concept, category
-- origin  varchar        texts, stimulus or similarity
with

told as (
    select distinct dataset, example_id, concept, category, 'texts' as origin,
    from example_concepts
    union all
    select
        dataset, example_id, concept,
        coalesce(category, 'none') as category,
        'stimulus' as origin,
    from stg_stimuli
    where concept is not null
),

categories as (
    select distinct concept, category,
    from lexicon
    where rule is null
),

likely as (
    select
        raw_concept_scores.*,
        coalesce(category, 'person') as category,
        'similarity' as origin,
    from raw_concept_scores
    cross join settings
    left join categories using (concept)
    where probability >= similarity_min_score
)

select dataset, run_id, example_id, half, concept, category, origin,
from stg_distinct_images
inner join told using (dataset, example_id)
inner join stg_examples using (dataset, example_id)
union all
select dataset, run_id, example_id, half, concept, category, origin,
from stg_distinct_images
inner join likely using (dataset, run_id, example_id)
inner join stg_examples using (dataset, example_id);
