-- view:    surrogate_indices
-- grain:   one row per (neuron, candidate concept, dimension, facet_origin) with at
--          least two tested strata
-- key:     dataset, run_id, layer, unit, concept, category, origin, dimension,
--          facet_origin
-- reads:   raw_facet_aurocs
-- purpose: The multimodality index, and what it would be for concepts drawn at random.
-- cite:    Quiroga et al. 2005, doi:10.1038/nature03687
--
-- A surrogate is a random set of images in every stratum, of the same size as the
-- concept's; its index is the smallest of its AUROCs, as that of the concept is.
--
-- column             type     unit     meaning
-- dataset, run_id, layer, unit, candidate_rank, concept, category, origin, dimension,
-- facet_origin
-- stratum_count      bigint   count    strata tested
-- lowest_auroc       double   0..1     the index: smallest AUROC of the strata
-- weakest_stratum    varchar           where it is; ties by name
-- is_thin            boolean           a stratum rests on fewer than three images
-- surrogate_indices  float[]  0..1     the same of each of the 99 surrogates
-- p_value            double   0.01..1  (1 + surrogates that reach the index) / 100
with

gathered as (
    select
        dataset, run_id, layer, unit, candidate_rank, concept, category, origin,
        dimension, facet_origin,
        count(*) as stratum_count,
        min((auroc, stratum)) as weakest,
        bool_or(is_thin(positive_count, other_count)) as is_thin,
        list(surrogate_aurocs) as surrogates,
    from raw_facet_aurocs
    where auroc is not null
    group by all
    having count(*) >= 2
),

reduced as (
    select
        *,
        weakest[1] as lowest_auroc,
        weakest[2] as weakest_stratum,
        list_transform(
            range(1, len(surrogates[1]) + 1),
            lambda k: list_min(list_transform(surrogates, lambda aurocs: aurocs[k]))
        ) as surrogate_indices,
    from gathered
)

select
    dataset, run_id, layer, unit, candidate_rank, concept, category, origin, dimension,
    facet_origin, stratum_count, lowest_auroc, weakest_stratum, is_thin,
    surrogate_indices,
    surrogate_p(surrogate_indices, lowest_auroc::float) as p_value,
from reduced;
