-- view:    neuron_multimodality
-- grain:   one row per (neuron, candidate concept, facet_origin)
-- key:     dataset, run_id, layer, unit, concept, category, origin, facet_origin
-- reads:   neuron_facets, surrogate_indices, neuron_labels
-- purpose: The Halle Berry test: does a neuron answer to the concept in every form?
-- cite:    Quiroga et al. 2005, doi:10.1038/nature03687; Goh et al. 2021,
--          doi:10.23915/distill.00030
--
-- The index is the smallest AUROC over the facets, each against the same facet's other
-- images: 1 means that in every form each image of the concept excites the neuron more
-- than any other image of that form. It needs two tested facets, else it is null.
-- Facets that are known and facets that are guessed (facet_origin) have rows of their
-- own. language_index is the same over the languages of rendered words. An index is
-- thin (is_thin) if a tested facet rests on fewer than three images: then p_value is
-- that of one or two images, whatever it is.
--
-- column               type                  unit     meaning
-- dataset, model_id, run_id, layer, unit, candidate_rank, concept, category, origin
-- facet_origin         varchar                        stimulus or similarity
-- is_label             boolean                        it is the neuron's label
-- multimodality_index  double                0..1     smallest AUROC over the facets
-- p_value              double                0.01..1  of the index, by 99 surrogates
-- facet_count          bigint                count    facets tested
-- weakest_facet        varchar                        where the index is reached
-- failed_facets        varchar[]                      facets it fails in: AUROC below
--                                                     facet_min_auroc or p above
--                                                     facet_max_p
-- untested_facets      varchar[]                      too few images: neither passed
--                                                     nor failed
-- thin_facets          varchar[]                      tested on fewer than 3 images
-- is_thin              boolean                        whether there is such a facet
-- facet_aurocs         map(varchar, double)  0..1     AUROC by facet; tested ones
-- positive_counts      map(varchar, bigint)  count    images that show it, by facet
-- language_index       double                0..1     smallest AUROC over languages of
--                                                     rendered words
-- language_count       bigint                count    languages tested
-- weakest_language     varchar                        where language_index is reached
with

facets as (
    select
        dataset, model_id, run_id, layer, unit, candidate_rank, concept, category,
        origin, facet_origin,
        count(*) filter (where is_tested) as facet_count,
        list(stratum order by stratum asc) filter (where is_failed) as failed_facets,
        list(stratum order by stratum asc) filter (where not is_tested)
            as untested_facets,
        list(stratum order by stratum asc) filter (where is_tested and is_thin)
            as thin_facets,
        list((stratum, auroc) order by stratum asc) filter (where is_tested)
            as facet_aurocs,
        list((stratum, positive_count) order by stratum asc) as positive_counts,
    from neuron_facets
    where dimension = 'facet'
    group by all
),

by_facet as (
    select *
    from surrogate_indices
    where dimension = 'facet'
),

by_language as (
    select *
    from surrogate_indices
    where dimension = 'word language'
),

labels as (
    select dataset, run_id, layer, unit, concept, category, origin, true as is_label,
    from neuron_labels
)

select
    dataset, model_id, run_id, layer, unit, facets.candidate_rank,
    concept, category, origin, facet_origin,
    coalesce(is_label, false) as is_label,
    by_facet.lowest_auroc as multimodality_index,
    by_facet.p_value,
    facet_count,
    by_facet.weakest_stratum as weakest_facet,
    coalesce(failed_facets, []) as failed_facets,
    coalesce(untested_facets, []) as untested_facets,
    coalesce(thin_facets, []) as thin_facets,
    thin_facets is not null as is_thin,
    map_from_entries(coalesce(facet_aurocs, [])) as facet_aurocs,
    map_from_entries(positive_counts) as positive_counts,
    by_language.lowest_auroc as language_index,
    coalesce(by_language.stratum_count, 0) as language_count,
    by_language.weakest_stratum as weakest_language,
from facets
left join by_facet
    using (dataset, run_id, layer, unit, concept, category, origin, facet_origin)
left join by_language
    using (dataset, run_id, layer, unit, concept, category, origin, facet_origin)
left join labels using (dataset, run_id, layer, unit, concept, category, origin);
