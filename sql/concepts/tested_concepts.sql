-- view:    tested_concepts
-- grain:   one row per (run, concept, category, origin) that is tested
-- key:     dataset, run_id, concept, category, origin
-- reads:   run_concepts, stg_run_examples, stg_examples, settings
-- purpose: The concepts that neurons are tested for, and how many images show them.
--
-- A concept is tested if at least concept_min_count distinct images of each half of the
-- run show it, and at least one of each half does not.
--
-- column           type     unit   meaning
-- dataset          varchar         name of the dataset
-- run_id           varchar         the run
-- concept          varchar         name of the concept
-- category         varchar         family that it belongs to
-- origin           varchar         texts, stimulus or similarity
-- concept_id       integer  1..    stands for the five before, within one query
-- screening_count  bigint   count  images of the screening half that show it
-- testing_count    bigint   count  images of the testing half that show it
-- screening_size   bigint   count  distinct images of the screening half
-- testing_size     bigint   count  distinct images of the testing half
with

half_sizes as (
    select
        stg_run_examples.dataset,
        stg_run_examples.run_id,
        count(*) filter (where stg_examples.half = 'screening') as screening_size,
        count(*) filter (where stg_examples.half = 'testing') as testing_size,
    from stg_run_examples
    inner join stg_examples
        on
            stg_run_examples.dataset = stg_examples.dataset
            and stg_run_examples.example_id = stg_examples.example_id
    where not stg_run_examples.is_duplicate
    group by
        stg_run_examples.dataset,
        stg_run_examples.run_id
),

counted as (
    select
        run_concepts.dataset,
        run_concepts.run_id,
        run_concepts.concept,
        run_concepts.category,
        run_concepts.origin,
        count(*) filter (where run_concepts.half = 'screening') as screening_count,
        count(*) filter (where run_concepts.half = 'testing') as testing_count,
    from run_concepts
    group by
        run_concepts.dataset,
        run_concepts.run_id,
        run_concepts.concept,
        run_concepts.category,
        run_concepts.origin
)

select
    counted.dataset,
    counted.run_id,
    counted.concept,
    counted.category,
    counted.origin,
    row_number() over (
        order by
            counted.dataset,
            counted.run_id,
            counted.concept,
            counted.category,
            counted.origin
    )::integer as concept_id,
    counted.screening_count,
    counted.testing_count,
    half_sizes.screening_size,
    half_sizes.testing_size,
from counted
inner join half_sizes
    on
        counted.dataset = half_sizes.dataset
        and counted.run_id = half_sizes.run_id
cross join settings
where
    counted.screening_count >= settings.concept_min_count
    and counted.testing_count >= settings.concept_min_count
    and counted.screening_count < half_sizes.screening_size
    and counted.testing_count < half_sizes.testing_size;
