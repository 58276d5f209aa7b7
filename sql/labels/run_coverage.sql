-- view:    run_coverage
-- grain:   one row per run
-- key:     dataset, run_id
-- reads:   stg_runs, stg_run_examples, image_texts, run_concepts, rejects, text_tokens
-- purpose: How much of a run's images its labels can rest on, and what was lost before.
--
-- column                  type       unit    meaning
-- dataset                 varchar            name of the dataset
-- model_id                varchar            architecture:pretrained
-- run_id                  varchar            the run
-- image_count             bigint     count   distinct images
-- duplicate_count         bigint     count   examples that repeat one
-- text_image_count        bigint     count   images with any text
-- searched_image_count    bigint     count   images with a text that is searched
-- concept_image_count     bigint     count   images that show a concept, by any origin
-- texts_image_count       bigint     count   images whose texts name a concept
-- stimulus_image_count    bigint     count   images that show one by construction
-- similarity_image_count  bigint     count   images in which the model finds one
-- text_count              bigint     count   texts of its images
-- language_count          bigint     count   languages of these
-- languages               varchar[]          the languages, most frequent first
-- rejected_count          bigint     count   samples and examples that were rejected
-- lost_format_count       bigint     count   of these, images of a form we cannot read
-- reject_reasons          varchar            every reason with its count
with

distinct_images as (
    select
        stg_run_examples.dataset,
        stg_run_examples.run_id,
        stg_run_examples.example_id,
    from stg_run_examples
    where not stg_run_examples.is_duplicate
),

sizes as (
    select
        stg_run_examples.dataset,
        stg_run_examples.run_id,
        count(*) filter (where not stg_run_examples.is_duplicate) as image_count,
        count(*) filter (where stg_run_examples.is_duplicate) as duplicate_count,
    from stg_run_examples
    group by stg_run_examples.dataset, stg_run_examples.run_id
),

texts_of_runs as (
    select
        distinct_images.dataset,
        distinct_images.run_id,
        image_texts.example_id,
        image_texts.language,
        count(*) as text_count,
    from distinct_images
    inner join image_texts
        on
            distinct_images.dataset = image_texts.dataset
            and distinct_images.example_id = image_texts.example_id
    group by
        distinct_images.dataset,
        distinct_images.run_id,
        image_texts.example_id,
        image_texts.language
),

by_language as (
    select
        texts_of_runs.dataset,
        texts_of_runs.run_id,
        texts_of_runs.language,
        sum(texts_of_runs.text_count)::bigint as text_count,
    from texts_of_runs
    group by texts_of_runs.dataset, texts_of_runs.run_id, texts_of_runs.language
),

languages as (
    select
        by_language.dataset,
        by_language.run_id,
        sum(by_language.text_count)::bigint as text_count,
        count(*) as language_count,
        list(
            by_language.language
            order by by_language.text_count desc, by_language.language asc
        ) as languages,
    from by_language
    group by by_language.dataset, by_language.run_id
),

with_text as (
    select
        texts_of_runs.dataset,
        texts_of_runs.run_id,
        count(distinct texts_of_runs.example_id) as image_count,
    from texts_of_runs
    group by texts_of_runs.dataset, texts_of_runs.run_id
),

searched as (
    select
        distinct_images.dataset,
        distinct_images.run_id,
        count(distinct text_tokens.example_id) as image_count,
    from distinct_images
    inner join text_tokens
        on
            distinct_images.dataset = text_tokens.dataset
            and distinct_images.example_id = text_tokens.example_id
    group by distinct_images.dataset, distinct_images.run_id
),

shown as (
    select
        run_concepts.dataset,
        run_concepts.run_id,
        count(distinct run_concepts.example_id) as image_count,
        count(distinct run_concepts.example_id)
            filter (where run_concepts.origin = 'texts') as texts_count,
        count(distinct run_concepts.example_id)
            filter (where run_concepts.origin = 'stimulus') as stimulus_count,
        count(distinct run_concepts.example_id)
            filter (where run_concepts.origin = 'similarity') as similarity_count,
    from run_concepts
    group by run_concepts.dataset, run_concepts.run_id
),

by_reason as (
    -- what the index lost is lost to every run of the dataset
    select
        stg_runs.dataset,
        stg_runs.run_id,
        rejects.reason,
        count(*) as reject_count,
    from stg_runs
    inner join rejects
        on
            stg_runs.dataset = rejects.dataset
            and coalesce(rejects.run_id = stg_runs.run_id, true)
    group by stg_runs.dataset, stg_runs.run_id, rejects.reason
),

lost as (
    select
        by_reason.dataset,
        by_reason.run_id,
        sum(by_reason.reject_count)::bigint as rejected_count,
        coalesce(
            sum(by_reason.reject_count) filter (
                where
                    by_reason.reason
                    in (
                        'not_an_image',
                        'unsupported_format',
                        'unknown_extension',
                        'no_image'
                    )
            ),
            0
        )::bigint as lost_format_count,
        string_agg(
            by_reason.reason || ' ' || by_reason.reject_count,
            ', ' order by by_reason.reject_count desc, by_reason.reason
        ) as reject_reasons,
    from by_reason
    group by by_reason.dataset, by_reason.run_id
)

select
    stg_runs.dataset,
    stg_runs.model_id,
    stg_runs.run_id,
    coalesce(sizes.image_count, 0) as image_count,
    coalesce(sizes.duplicate_count, 0) as duplicate_count,
    coalesce(with_text.image_count, 0) as text_image_count,
    coalesce(searched.image_count, 0) as searched_image_count,
    coalesce(shown.image_count, 0) as concept_image_count,
    coalesce(shown.texts_count, 0) as texts_image_count,
    coalesce(shown.stimulus_count, 0) as stimulus_image_count,
    coalesce(shown.similarity_count, 0) as similarity_image_count,
    coalesce(languages.text_count, 0) as text_count,
    coalesce(languages.language_count, 0) as language_count,
    coalesce(languages.languages, []) as languages,
    coalesce(lost.rejected_count, 0) as rejected_count,
    coalesce(lost.lost_format_count, 0) as lost_format_count,
    coalesce(lost.reject_reasons, '') as reject_reasons,
from stg_runs
left join sizes
    on
        stg_runs.dataset = sizes.dataset
        and stg_runs.run_id = sizes.run_id
left join with_text
    on
        stg_runs.dataset = with_text.dataset
        and stg_runs.run_id = with_text.run_id
left join searched
    on
        stg_runs.dataset = searched.dataset
        and stg_runs.run_id = searched.run_id
left join shown
    on
        stg_runs.dataset = shown.dataset
        and stg_runs.run_id = shown.run_id
left join languages
    on
        stg_runs.dataset = languages.dataset
        and stg_runs.run_id = languages.run_id
left join lost
    on
        stg_runs.dataset = lost.dataset
        and stg_runs.run_id = lost.run_id;
