-- view:    multimodality_summary
-- grain:   one row per (run, layer, facet_origin, category), and 'all' categories
-- key:     dataset, run_id, layer, facet_origin, category
-- reads:   surrogate_indices, facet_candidates, stg_runs, stg_layers
-- purpose: How many neurons are multimodal, beside chance and untrained models.
-- cite:    Quiroga et al. 2005, doi:10.1038/nature03687
--
-- A neuron counts once, by its first candidate, which was chosen on the screening half;
-- its index is of the testing half. permuted_: the mean, over the 99 surrogates, of the
-- neurons that would count had the concept been on as many random images of every
-- facet. untrained_: the mean over runs of the same dataset and layer with random
-- weights; null if there is none, and for such runs themselves.
--
-- column               type     unit   meaning
-- dataset              varchar         name of the dataset
-- model_id             varchar         architecture:pretrained
-- run_id               varchar         the run
-- is_random            boolean         weights are seeded noise
-- layer                varchar         module path, point and pooling
-- facet_origin         varchar         stimulus or similarity: origin of the facets
-- category             varchar         family of the neurons' concepts; or all
-- neuron_count         bigint   count  neurons whose first candidate is of it
-- tested_count         bigint   count  of these, with at least two tested facets
-- thin_count           bigint   count  of these, with a facet of fewer than 3 images
-- multimodal_80_count  bigint   count  of these, with an index of at least 0.8
-- multimodal_90_count  bigint   count  of at least 0.9
-- multimodal_95_count  bigint   count  of at least 0.95
-- permuted_80_count    double   count  the same by chance
-- permuted_90_count    double   count  the same by chance
-- permuted_95_count    double   count  the same by chance
-- untrained_run_count  bigint   count  runs with random weights to compare with
-- untrained_80_count   double   count  the same of an untrained model
-- untrained_90_count   double   count  the same of an untrained model
-- untrained_95_count   double   count  the same of an untrained model
with

chosen as (
    select
        facet_candidates.dataset,
        facet_candidates.run_id,
        facet_candidates.layer,
        facet_candidates.category,
        count(*) as neuron_count,
    from facet_candidates
    where facet_candidates.candidate_rank = 1
    group by all
),

indices as (
    select
        surrogate_indices.dataset,
        surrogate_indices.run_id,
        surrogate_indices.layer,
        surrogate_indices.facet_origin,
        surrogate_indices.category,
        count(*) as tested_count,
        count(*) filter (where surrogate_indices.is_thin) as thin_count,
        count(*) filter (
            where surrogate_indices.lowest_auroc >= 0.8
        ) as multimodal_80_count,
        count(*) filter (
            where surrogate_indices.lowest_auroc >= 0.9
        ) as multimodal_90_count,
        count(*) filter (
            where surrogate_indices.lowest_auroc >= 0.95
        ) as multimodal_95_count,
        -- each neuron adds the share of its surrogates that reach the threshold
        sum(
            len(list_filter(surrogate_indices.surrogate_indices, lambda x: x >= 0.8))
            / len(surrogate_indices.surrogate_indices)
        ) as permuted_80_count,
        sum(
            len(list_filter(surrogate_indices.surrogate_indices, lambda x: x >= 0.9))
            / len(surrogate_indices.surrogate_indices)
        ) as permuted_90_count,
        sum(
            len(list_filter(surrogate_indices.surrogate_indices, lambda x: x >= 0.95))
            / len(surrogate_indices.surrogate_indices)
        ) as permuted_95_count,
    from surrogate_indices
    where
        surrogate_indices.candidate_rank = 1
        and surrogate_indices.dimension = 'facet'
    group by all
),

origins as (
    select distinct
        indices.dataset,
        indices.run_id,
        indices.layer,
        indices.facet_origin,
    from indices
),

summed as (
    select
        origins.dataset,
        stg_runs.model_id,
        origins.run_id,
        stg_runs.is_random,
        origins.layer,
        stg_layers.unit_count,
        origins.facet_origin,
        coalesce(chosen.category, 'all') as category,
        sum(chosen.neuron_count)::bigint as neuron_count,
        coalesce(sum(indices.tested_count), 0)::bigint as tested_count,
        coalesce(sum(indices.thin_count), 0)::bigint as thin_count,
        coalesce(sum(indices.multimodal_80_count), 0)::bigint as multimodal_80_count,
        coalesce(sum(indices.multimodal_90_count), 0)::bigint as multimodal_90_count,
        coalesce(sum(indices.multimodal_95_count), 0)::bigint as multimodal_95_count,
        coalesce(sum(indices.permuted_80_count), 0.0) as permuted_80_count,
        coalesce(sum(indices.permuted_90_count), 0.0) as permuted_90_count,
        coalesce(sum(indices.permuted_95_count), 0.0) as permuted_95_count,
    from origins
    inner join stg_runs
        on
            origins.dataset = stg_runs.dataset
            and origins.run_id = stg_runs.run_id
    inner join stg_layers
        on
            origins.dataset = stg_layers.dataset
            and origins.run_id = stg_layers.run_id
            and origins.layer = stg_layers.layer
    inner join chosen
        on
            origins.dataset = chosen.dataset
            and origins.run_id = chosen.run_id
            and origins.layer = chosen.layer
    left join indices
        on
            origins.dataset = indices.dataset
            and origins.run_id = indices.run_id
            and origins.layer = indices.layer
            and origins.facet_origin = indices.facet_origin
            and chosen.category = indices.category
    group by
        grouping sets (
            (
                origins.dataset,
                stg_runs.model_id,
                origins.run_id,
                stg_runs.is_random,
                origins.layer,
                stg_layers.unit_count,
                origins.facet_origin,
                chosen.category
            ),
            (
                origins.dataset,
                stg_runs.model_id,
                origins.run_id,
                stg_runs.is_random,
                origins.layer,
                stg_layers.unit_count,
                origins.facet_origin
            )
        )
),

untrained_runs as (
    select
        stg_layers.dataset,
        stg_layers.layer,
        stg_layers.unit_count,
        count(*) as run_count,
    from stg_layers
    inner join stg_runs
        on
            stg_layers.dataset = stg_runs.dataset
            and stg_layers.run_id = stg_runs.run_id
    where stg_runs.is_random
    group by all
),

untrained as (
    select
        summed.dataset,
        summed.layer,
        summed.unit_count,
        summed.facet_origin,
        summed.category,
        sum(summed.multimodal_80_count) as multimodal_80_count,
        sum(summed.multimodal_90_count) as multimodal_90_count,
        sum(summed.multimodal_95_count) as multimodal_95_count,
    from summed
    where summed.is_random
    group by all
)

select
    summed.dataset,
    summed.model_id,
    summed.run_id,
    summed.is_random,
    summed.layer,
    summed.facet_origin,
    summed.category,
    summed.neuron_count,
    summed.tested_count,
    summed.thin_count,
    summed.multimodal_80_count,
    summed.multimodal_90_count,
    summed.multimodal_95_count,
    summed.permuted_80_count,
    summed.permuted_90_count,
    summed.permuted_95_count,
    coalesce(untrained_runs.run_count, 0) as untrained_run_count,
    coalesce(untrained.multimodal_80_count, 0) / untrained_runs.run_count::double
        as untrained_80_count,
    coalesce(untrained.multimodal_90_count, 0) / untrained_runs.run_count::double
        as untrained_90_count,
    coalesce(untrained.multimodal_95_count, 0) / untrained_runs.run_count::double
        as untrained_95_count,
from summed
left join untrained_runs
    on
        summed.dataset = untrained_runs.dataset
        and summed.layer = untrained_runs.layer
        and summed.unit_count = untrained_runs.unit_count
        and not summed.is_random
left join untrained
    on
        untrained_runs.dataset = untrained.dataset
        and untrained_runs.layer = untrained.layer
        and untrained_runs.unit_count = untrained.unit_count
        and summed.facet_origin = untrained.facet_origin
        and summed.category = untrained.category;
