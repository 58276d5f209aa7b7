-- view:    check_facets
-- grain:   one row per neuron, concept and stratum that does not add up
-- key:     dataset, run_id, layer, unit, concept, category, origin, dimension, stratum,
--          facet_origin
-- reads:   raw_facet_aurocs, example_strata, stg_examples
-- purpose: Facet tests whose images are not all of the stratum's, or whose figures are
--          impossible.
--
-- column           type     unit       meaning
-- dataset          varchar             name of the dataset
-- run_id           varchar             the run
-- layer            varchar             module path, point and pooling
-- unit             integer  index 0..  position of the neuron inside its layer
-- concept          varchar             name of the concept
-- category         varchar             family that it belongs to
-- origin           varchar             whose word the concept is
-- dimension        varchar             facet, word language or text language
-- stratum          varchar             the facet, or the language
-- facet_origin     varchar             whose word the stratum is
-- image_count      bigint   count      images counted, of both halves
-- stratum_size     bigint   count      distinct images that the stratum has
-- auroc            double   0..1       what was found
-- surrogate_count  bigint   count      surrogates that are between 0 and 1
with

sizes as (
    select
        example_strata.dataset,
        example_strata.run_id,
        example_strata.dimension,
        example_strata.stratum,
        example_strata.facet_origin,
        count(*) filter (where stg_examples.half = 'testing') as testing_size,
        count(*) filter (where stg_examples.half = 'screening') as screening_size,
    from example_strata
    inner join stg_examples
        on
            example_strata.dataset = stg_examples.dataset
            and example_strata.example_id = stg_examples.example_id
    group by all
),

joined as (
    select
        raw_facet_aurocs.dataset,
        raw_facet_aurocs.run_id,
        raw_facet_aurocs.layer,
        raw_facet_aurocs.unit,
        raw_facet_aurocs.concept,
        raw_facet_aurocs.category,
        raw_facet_aurocs.origin,
        raw_facet_aurocs.dimension,
        raw_facet_aurocs.stratum,
        raw_facet_aurocs.facet_origin,
        raw_facet_aurocs.positive_count + raw_facet_aurocs.other_count
            as testing_count,
        raw_facet_aurocs.screening_positive_count
        + raw_facet_aurocs.screening_other_count as screening_count,
        coalesce(sizes.testing_size, 0) as testing_size,
        coalesce(sizes.screening_size, 0) as screening_size,
        raw_facet_aurocs.auroc,
        len(
            list_filter(
                raw_facet_aurocs.surrogate_aurocs, lambda x: x >= 0 and x <= 1
            )
        ) as surrogate_count,
    from raw_facet_aurocs
    left join sizes
        on
            raw_facet_aurocs.dataset = sizes.dataset
            and raw_facet_aurocs.run_id = sizes.run_id
            and raw_facet_aurocs.dimension = sizes.dimension
            and raw_facet_aurocs.stratum = sizes.stratum
            and raw_facet_aurocs.facet_origin = sizes.facet_origin
)

select
    joined.dataset,
    joined.run_id,
    joined.layer,
    joined.unit,
    joined.concept,
    joined.category,
    joined.origin,
    joined.dimension,
    joined.stratum,
    joined.facet_origin,
    joined.testing_count + joined.screening_count as image_count,
    joined.testing_size + joined.screening_size as stratum_size,
    joined.auroc,
    joined.surrogate_count,
from joined
where
    joined.testing_count <> joined.testing_size
    or joined.screening_count <> joined.screening_size
    or not coalesce(joined.auroc between 0 and 1, true)
    or (joined.auroc is null) <> (joined.surrogate_count is null)
    or coalesce(joined.surrogate_count, 99) <> 99;
