-- view:    tested_concepts
-- grain:   one row per (run, concept, category, origin) that is tested
-- key:     dataset, run_id, concept, category, origin
-- reads:   run_concepts, stg_distinct_images, stg_examples, settings
-- purpose: The concepts that neurons are tested for, and how many images show them.
--
-- A concept is tested if at least concept_min_count distinct images of each half of the
-- run show it, and at least one of each half does not.
--
-- column           type     unit   meaning
-- dataset, run_id, concept, category, origin
-- concept_id       integer  1..    stands for the five before, within one query
-- screening_count  bigint   count  images of the screening half that show it
-- testing_count    bigint   count  images of the testing half that show it
-- screening_size   bigint   count  distinct images of the screening half
-- testing_size     bigint   count  distinct images of the testing half
with

half_sizes as (
    select
        dataset, run_id,
        count(*) filter (where half = 'screening') as screening_size,
        count(*) filter (where half = 'testing') as testing_size,
    from stg_distinct_images
    inner join stg_examples using (dataset, example_id)
    group by all
),

counted as (
    select
        dataset, run_id, concept, category, origin,
        count(*) filter (where half = 'screening') as screening_count,
        count(*) filter (where half = 'testing') as testing_count,
    from run_concepts
    group by all
)

select
    dataset, run_id, concept, category, origin,
    row_number() over (
        order by dataset, run_id, concept, category, origin
    )::integer as concept_id,
    screening_count, testing_count, screening_size, testing_size,
from counted
inner join half_sizes using (dataset, run_id)
cross join settings
where
    screening_count >= concept_min_count
    and testing_count >= concept_min_count
    and screening_count < screening_size
    and testing_count < testing_size;
