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
-- column             type     unit       meaning
-- dataset            varchar             name of the dataset
-- run_id             varchar             the run
-- layer              varchar             module path, point and pooling
-- unit               integer  index 0..  position of the neuron inside its layer
-- candidate_rank     integer  rank 1..4  see facet_candidates
-- concept            varchar             name of the concept
-- category           varchar             family that it belongs to
-- origin             varchar             whose word the concept is
-- dimension          varchar             facet, word language or text language
-- facet_origin       varchar             whose word the strata are
-- stratum_count      bigint   count      strata tested
-- lowest_auroc       double   0..1       the index: smallest AUROC of the strata
-- weakest_stratum    varchar             where it is; ties by name
-- is_thin            boolean             a stratum rests on fewer than three images
-- surrogate_indices  float[]  0..1       the same of each of the 99 surrogates
-- p_value            double   0.01..1    (1 + surrogates that reach the index) / 100
with

gathered as (
    select
        raw_facet_aurocs.dataset,
        raw_facet_aurocs.run_id,
        raw_facet_aurocs.layer,
        raw_facet_aurocs.unit,
        raw_facet_aurocs.candidate_rank,
        raw_facet_aurocs.concept,
        raw_facet_aurocs.category,
        raw_facet_aurocs.origin,
        raw_facet_aurocs.dimension,
        raw_facet_aurocs.facet_origin,
        count(*) as stratum_count,
        min((raw_facet_aurocs.auroc, raw_facet_aurocs.stratum)) as weakest,
        bool_or(
            is_thin(raw_facet_aurocs.positive_count, raw_facet_aurocs.other_count)
        ) as is_thin,
        list(raw_facet_aurocs.surrogate_aurocs) as surrogates,
    from raw_facet_aurocs
    where raw_facet_aurocs.auroc is not null
    group by all
    having count(*) >= 2
),

reduced as (
    select
        gathered.dataset,
        gathered.run_id,
        gathered.layer,
        gathered.unit,
        gathered.candidate_rank,
        gathered.concept,
        gathered.category,
        gathered.origin,
        gathered.dimension,
        gathered.facet_origin,
        gathered.stratum_count,
        gathered.weakest[1] as lowest_auroc,
        gathered.weakest[2] as weakest_stratum,
        gathered.is_thin,
        list_transform(
            range(1, len(gathered.surrogates[1]) + 1),
            lambda k: list_min(
                list_transform(gathered.surrogates, lambda aurocs: aurocs[k])
            )
        ) as surrogate_indices,
    from gathered
)

select
    reduced.dataset,
    reduced.run_id,
    reduced.layer,
    reduced.unit,
    reduced.candidate_rank,
    reduced.concept,
    reduced.category,
    reduced.origin,
    reduced.dimension,
    reduced.facet_origin,
    reduced.stratum_count,
    reduced.lowest_auroc,
    reduced.weakest_stratum,
    reduced.is_thin,
    reduced.surrogate_indices,
    (
        1 + len(
            list_filter(
                reduced.surrogate_indices,
                lambda surrogate: surrogate >= reduced.lowest_auroc::float
            )
        )
    ) / (1.0::double + len(reduced.surrogate_indices)) as p_value,
from reduced;
