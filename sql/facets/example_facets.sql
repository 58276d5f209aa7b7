-- view:    example_facets
-- grain:   one row per distinct image of a run whose form is known or guessed
-- key:     dataset, run_id, example_id
-- reads:   stg_distinct_images, stg_stimuli, raw_class_scores, facet_prompts
-- purpose: The facet of each image: the form in which it shows what it shows.
-- cite:    Radford et al. 2021, arXiv:2103.00020, section 3.1.4 (zero-shot)
--
-- A controlled stimulus has its facet by construction. Of any other image the run's own
-- model is asked (neurons similarity; class set facets, or one of the warehouse's own
-- facets), and score says how sure it was. Origins are never mixed: what follows keeps
-- a photo that is known to be one apart from one that the model takes for one. Images
-- with neither have no row.
--
-- column        type     unit  meaning
-- dataset, run_id, example_id
-- facet         varchar        photo, colour drawing, line drawing, rendered word ...
-- facet_origin  varchar        stimulus (by construction) or similarity (zero-shot)
-- score         float    0..1  similarity: probability of the facet among all facets
with

known as (
    select dataset, run_id, example_id, facet,
    from stg_distinct_images
    inner join stg_stimuli using (dataset, example_id)
    where facet is not null
),

likeliest as (
    select dataset, run_id, example_id, facet, probability,
    from raw_class_scores
    inner join facet_prompts
        on
            raw_class_scores.class_set = facet_prompts.class_set
            and raw_class_scores.class_name = facet_prompts.prompt
    where raw_class_scores.class_set like 'facets%'
    qualify
        row_number() over (
            partition by dataset, run_id, example_id
            order by logit desc, facet asc
        ) = 1
)

select
    dataset, run_id, example_id, facet,
    'stimulus' as facet_origin,
    null::float as score,
from known
union all
select
    dataset, run_id, example_id, facet,
    'similarity' as facet_origin,
    probability as score,
from stg_distinct_images
inner join likeliest using (dataset, run_id, example_id)
anti join known using (dataset, run_id, example_id);
