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
-- dataset, model_id, run_id, is_random, layer
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

origins as (
    select distinct dataset, run_id, layer, facet_origin,
    from surrogate_indices
    where candidate_rank = 1 and dimension = 'facet'
),

indices as (
    select *
    from surrogate_indices
    where dimension = 'facet'
),

-- Each neuron counts among those of its category, and among all.
neurons as (
    select
        *,
        unnest([category, 'all']) as counted_as,
    from origins
    inner join facet_candidates using (dataset, run_id, layer)
    left join indices
        using (
            dataset, run_id, layer, unit, candidate_rank, category, facet_origin
        )
    where candidate_rank = 1
),

summed as (
    select
        dataset, stg_runs.model_id, run_id, is_random, layer, unit_count, facet_origin,
        counted_as as category,
        count(*) as neuron_count,
        count(lowest_auroc) as tested_count,
        count(*) filter (where is_thin) as thin_count,
        count(*) filter (where lowest_auroc >= 0.8) as multimodal_80_count,
        count(*) filter (where lowest_auroc >= 0.9) as multimodal_90_count,
        count(*) filter (where lowest_auroc >= 0.95) as multimodal_95_count,
        -- each neuron adds the share of its surrogates that reach the threshold
        coalesce(sum(share_at_least(surrogate_indices, 0.8)), 0) as permuted_80_count,
        coalesce(sum(share_at_least(surrogate_indices, 0.9)), 0) as permuted_90_count,
        coalesce(sum(share_at_least(surrogate_indices, 0.95)), 0) as permuted_95_count,
    from neurons
    inner join stg_runs using (dataset, run_id)
    inner join stg_layers using (dataset, run_id, layer)
    group by all
),

untrained_runs as (
    select dataset, layer, unit_count, false as is_random, count(*) as run_count,
    from stg_layers
    inner join stg_runs using (dataset, run_id)
    where stg_runs.is_random
    group by all
),

untrained as (
    select
        dataset, layer, unit_count, facet_origin, category,
        sum(multimodal_80_count) as random_80_count,
        sum(multimodal_90_count) as random_90_count,
        sum(multimodal_95_count) as random_95_count,
    from summed
    where is_random
    group by all
)

select
    dataset, model_id, run_id, is_random, layer, facet_origin, category, neuron_count,
    tested_count, thin_count,
    multimodal_80_count, multimodal_90_count, multimodal_95_count,
    permuted_80_count, permuted_90_count, permuted_95_count,
    coalesce(run_count, 0) as untrained_run_count,
    coalesce(random_80_count, 0) / run_count::double as untrained_80_count,
    coalesce(random_90_count, 0) / run_count::double as untrained_90_count,
    coalesce(random_95_count, 0) / run_count::double as untrained_95_count,
from summed
left join untrained_runs using (dataset, layer, unit_count, is_random)
left join untrained using (dataset, layer, unit_count, facet_origin, category);
