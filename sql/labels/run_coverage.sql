-- view:    run_coverage
-- grain:   one row per run
-- key:     dataset, run_id
-- reads:   stg_runs, stg_run_examples, stg_distinct_images, image_texts, run_concepts,
--          text_coverage, rejects, settings
-- purpose: How much of a run's images its labels can rest on, and what was lost before.
--
-- column                  type                  unit   meaning
-- dataset, model_id, run_id
-- image_count             bigint                count  distinct images
-- duplicate_count         bigint                count  examples that repeat one
-- text_image_count        bigint                count  images with any text
-- searched_image_count    bigint                count  with a text that is searched
-- concept_image_count     bigint                count  that show a concept, any origin
-- texts_image_count       bigint                count  whose texts name a concept
-- stimulus_image_count    bigint                count  that show one by construction
-- similarity_image_count  bigint                count  in which the model finds one
-- text_count              bigint                count  texts of its images
-- language_count          bigint                count  languages of these
-- languages               varchar[]                    these, most frequent first
-- text_fracs              map(varchar, double)  0..1   by language and category, as
--                                                      'de animal': share of images
--                                                      with a text in it that name a
--                                                      concept of it; none where 0
-- rejected_count          bigint                count  samples and examples rejected
-- lost_format_count       bigint                count  of these, of unread forms
-- reject_reasons          varchar                      every reason with its count
with

sizes as (
    select
        dataset, run_id,
        count(*) filter (where not is_duplicate) as image_count,
        count(*) filter (where is_duplicate) as duplicate_count,
    from stg_run_examples
    group by all
),

texts_of_runs as (
    select dataset, run_id, example_id, language, count(*) as text_count,
    from stg_distinct_images
    inner join image_texts using (dataset, example_id)
    group by all
),

by_language as (
    select dataset, run_id, language, sum(text_count)::bigint as text_count,
    from texts_of_runs
    group by all
),

languages as (
    select
        dataset, run_id,
        sum(text_count)::bigint as text_count,
        count(*) as language_count,
        list(language order by text_count desc, language asc) as languages,
    from by_language
    group by all
),

with_text as (
    select dataset, run_id, count(distinct example_id) as text_image_count,
    from texts_of_runs
    group by all
),

searched as (
    select dataset, run_id, count(distinct example_id) as searched_image_count,
    from stg_distinct_images
    inner join image_texts using (dataset, example_id)
    cross join settings
    where list_contains(text_kinds, text_kind)
    group by all
),

shown as (
    select
        dataset, run_id,
        count(distinct example_id) as concept_image_count,
        count(distinct example_id) filter (where origin = 'texts')
            as texts_image_count,
        count(distinct example_id) filter (where origin = 'stimulus')
            as stimulus_image_count,
        count(distinct example_id) filter (where origin = 'similarity')
            as similarity_image_count,
    from run_concepts
    group by all
),

by_category as (
    select
        dataset, run_id,
        map(
            list(language || ' ' || category order by language asc, category asc),
            list(concept_frac order by language asc, category asc)
        ) as text_fracs,
    from text_coverage
    where concept_image_count > 0
    group by all
),

by_reason as (
    -- what the index lost is lost to every run of the dataset
    select
        stg_runs.dataset, stg_runs.run_id, reason,
        reason in (
            'not_an_image', 'unsupported_format', 'unknown_extension', 'no_image'
        ) as is_format,
        count(*) as reject_count,
    from stg_runs
    inner join rejects
        on
            stg_runs.dataset = rejects.dataset
            and coalesce(stg_runs.run_id = rejects.run_id, true)
    group by all
),

lost as (
    select
        dataset, run_id,
        sum(reject_count) as rejected_count,
        sum(reject_count) filter (where is_format) as lost_format_count,
        string_agg(
            reason || ' ' || reject_count, ', ' order by reject_count desc, reason asc
        ) as reject_reasons,
    from by_reason
    group by all
)

select
    dataset, model_id, run_id,
    coalesce(image_count, 0) as image_count,
    coalesce(duplicate_count, 0) as duplicate_count,
    coalesce(text_image_count, 0) as text_image_count,
    coalesce(searched_image_count, 0) as searched_image_count,
    coalesce(concept_image_count, 0) as concept_image_count,
    coalesce(texts_image_count, 0) as texts_image_count,
    coalesce(stimulus_image_count, 0) as stimulus_image_count,
    coalesce(similarity_image_count, 0) as similarity_image_count,
    coalesce(text_count, 0) as text_count,
    coalesce(language_count, 0) as language_count,
    coalesce(languages, []) as languages,
    coalesce(text_fracs, map([]::varchar[], []::double[])) as text_fracs,
    coalesce(rejected_count, 0)::bigint as rejected_count,
    coalesce(lost_format_count, 0)::bigint as lost_format_count,
    coalesce(reject_reasons, '') as reject_reasons,
from stg_runs
left join sizes using (dataset, run_id)
left join with_text using (dataset, run_id)
left join searched using (dataset, run_id)
left join shown using (dataset, run_id)
left join languages using (dataset, run_id)
left join by_category using (dataset, run_id)
left join lost using (dataset, run_id);
