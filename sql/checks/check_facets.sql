-- view:    check_facets
-- grain:   one row per neuron, concept and stratum that does not add up
-- key:     dataset, run_id, layer, unit, concept, category, origin, dimension, stratum,
--          facet_origin
-- reads:   raw_facet_aurocs, example_strata, stg_examples
-- purpose: Facet tests whose images are not all of the stratum's, or whose figures are
--          impossible.
--
-- column           type    unit   meaning
-- dataset, run_id, layer, unit, concept, category, origin, dimension, stratum,
-- facet_origin
-- image_count      bigint  count  images counted, of both halves
-- stratum_size     bigint  count  distinct images that the stratum has
-- auroc
-- surrogate_count  bigint  count  surrogates that are between 0 and 1
with

sizes as (
    select
        dataset, run_id, dimension, stratum, facet_origin,
        count(*) filter (where half = 'testing') as testing_size,
        count(*) filter (where half = 'screening') as screening_size,
    from example_strata
    inner join stg_examples using (dataset, example_id)
    group by all
),

joined as (
    select
        *,
        positive_count + other_count as testing_count,
        screening_positive_count + screening_other_count as screening_count,
        len(list_filter(surrogate_aurocs, lambda x: x >= 0 and x <= 1))
            as surrogate_count,
    from raw_facet_aurocs
    left join sizes using (dataset, run_id, dimension, stratum, facet_origin)
)

select
    dataset, run_id, layer, unit, concept, category, origin, dimension, stratum,
    facet_origin,
    testing_count + screening_count as image_count,
    coalesce(testing_size, 0) + coalesce(screening_size, 0) as stratum_size,
    auroc, surrogate_count,
from joined
where
    testing_count <> coalesce(testing_size, 0)
    or screening_count <> coalesce(screening_size, 0)
    or not coalesce(auroc between 0 and 1, true)
    or (auroc is null) <> (surrogate_count is null)
    or coalesce(surrogate_count, 99) <> 99;
