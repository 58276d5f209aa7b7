-- view:    example_facets
-- grain:   one row per distinct image of a run whose form is known or guessed
-- key:     dataset, run_id, example_id
-- reads:   stg_run_examples, stg_stimuli, raw_class_scores, facet_prompts
-- purpose: The facet of each image: the form in which it shows what it shows.
-- cite:    Radford et al. 2021, arXiv:2103.00020, section 3.1.4 (zero-shot)
--
-- A controlled stimulus has its facet by construction. Of any other image the run's own
-- model is asked (neurons similarity; class set facets), and score says how sure it
-- was. Origins are never mixed: what follows keeps a photo that is known to be one
-- apart from one that the model takes for one. Images with neither have no row.
--
-- column        type     unit  meaning
-- dataset       varchar        name of the dataset
-- run_id        varchar        the run
-- example_id    bigint   id    the example
-- facet         varchar        photo, colour drawing, line drawing, rendered word ...
-- facet_origin  varchar        stimulus (by construction) or similarity (zero-shot)
-- score         float    0..1  similarity: probability of the facet among all facets
with

distinct_images as (
    select
        stg_run_examples.dataset,
        stg_run_examples.run_id,
        stg_run_examples.example_id,
    from stg_run_examples
    where not stg_run_examples.is_duplicate
),

known as (
    select
        distinct_images.dataset,
        distinct_images.run_id,
        distinct_images.example_id,
        stg_stimuli.facet,
    from distinct_images
    inner join stg_stimuli
        on
            distinct_images.dataset = stg_stimuli.dataset
            and distinct_images.example_id = stg_stimuli.example_id
    where stg_stimuli.facet is not null
),

likeliest as (
    select
        raw_class_scores.dataset,
        raw_class_scores.run_id,
        raw_class_scores.example_id,
        raw_class_scores.probability,
        facet_prompts.facet,
        row_number() over (
            partition by
                raw_class_scores.dataset,
                raw_class_scores.run_id,
                raw_class_scores.example_id
            order by raw_class_scores.logit desc, facet_prompts.facet asc
        ) as facet_rank,
    from raw_class_scores
    inner join facet_prompts
        on raw_class_scores.class_name = facet_prompts.prompt
    where raw_class_scores.class_set = 'facets'
)

select
    known.dataset,
    known.run_id,
    known.example_id,
    known.facet,
    'stimulus' as facet_origin,
    null::float as score,
from known
union all
select
    distinct_images.dataset,
    distinct_images.run_id,
    distinct_images.example_id,
    likeliest.facet,
    'similarity' as facet_origin,
    likeliest.probability as score,
from distinct_images
inner join likeliest
    on
        distinct_images.dataset = likeliest.dataset
        and distinct_images.run_id = likeliest.run_id
        and distinct_images.example_id = likeliest.example_id
anti join known
    on
        distinct_images.dataset = known.dataset
        and distinct_images.run_id = known.run_id
        and distinct_images.example_id = known.example_id
where likeliest.facet_rank = 1;
