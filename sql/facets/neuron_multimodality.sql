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
-- column               type                  unit       meaning
-- dataset              varchar                          name of the dataset
-- model_id             varchar                          architecture:pretrained
-- run_id               varchar                          the run
-- layer                varchar                          module path, point and pooling
-- unit                 integer               index 0..  position of the neuron
-- candidate_rank       integer               rank 1..4  see facet_candidates
-- concept              varchar                          name of the concept
-- category             varchar                          family that it belongs to
-- origin               varchar                          whose word the concept is
-- facet_origin         varchar                          stimulus or similarity
-- is_label             boolean                          it is the neuron's label
-- multimodality_index  double                0..1       smallest AUROC over the facets
-- p_value              double                0.01..1    of the index, by 99 surrogates
-- facet_count          bigint                count      facets tested
-- weakest_facet        varchar                          where the index is reached
-- failed_facets        varchar[]                        facets it fails in: AUROC below
--                                                       facet_min_auroc or p above
--                                                       facet_max_p
-- untested_facets      varchar[]                        too few images: neither passed
--                                                       nor failed
-- thin_facets          varchar[]                        tested on fewer than 3 images
-- is_thin              boolean                          whether there is such a facet
-- facet_aurocs         map(varchar, double)  0..1       AUROC by facet; tested ones
-- positive_counts      map(varchar, bigint)  count      images that show it, by facet
-- language_index       double                0..1       smallest AUROC over languages
--                                                       of rendered words
-- language_count       bigint                count      languages tested
-- weakest_language     varchar                          where language_index is reached
with

facets as (
    select
        neuron_facets.dataset,
        neuron_facets.model_id,
        neuron_facets.run_id,
        neuron_facets.layer,
        neuron_facets.unit,
        neuron_facets.candidate_rank,
        neuron_facets.concept,
        neuron_facets.category,
        neuron_facets.origin,
        neuron_facets.facet_origin,
        count(*) filter (where neuron_facets.is_tested) as facet_count,
        list(neuron_facets.stratum order by neuron_facets.stratum asc) filter (
            where neuron_facets.is_failed
        ) as failed_facets,
        list(neuron_facets.stratum order by neuron_facets.stratum asc) filter (
            where not neuron_facets.is_tested
        ) as untested_facets,
        list(neuron_facets.stratum order by neuron_facets.stratum asc) filter (
            where neuron_facets.is_tested and neuron_facets.is_thin
        ) as thin_facets,
        list(
            (neuron_facets.stratum, neuron_facets.auroc)
            order by neuron_facets.stratum asc
        ) filter (where neuron_facets.is_tested) as facet_aurocs,
        list(
            (neuron_facets.stratum, neuron_facets.positive_count)
            order by neuron_facets.stratum asc
        ) as positive_counts,
    from neuron_facets
    where neuron_facets.dimension = 'facet'
    group by all
)

select
    facets.dataset,
    facets.model_id,
    facets.run_id,
    facets.layer,
    facets.unit,
    facets.candidate_rank,
    facets.concept,
    facets.category,
    facets.origin,
    facets.facet_origin,
    neuron_labels.concept is not null as is_label,
    by_facet.lowest_auroc as multimodality_index,
    by_facet.p_value,
    facets.facet_count,
    by_facet.weakest_stratum as weakest_facet,
    coalesce(facets.failed_facets, []) as failed_facets,
    coalesce(facets.untested_facets, []) as untested_facets,
    coalesce(facets.thin_facets, []) as thin_facets,
    facets.thin_facets is not null as is_thin,
    map_from_entries(coalesce(facets.facet_aurocs, [])) as facet_aurocs,
    map_from_entries(facets.positive_counts) as positive_counts,
    by_language.lowest_auroc as language_index,
    coalesce(by_language.stratum_count, 0) as language_count,
    by_language.weakest_stratum as weakest_language,
from facets
left join surrogate_indices as by_facet
    on
        facets.dataset = by_facet.dataset
        and facets.run_id = by_facet.run_id
        and facets.layer = by_facet.layer
        and facets.unit = by_facet.unit
        and facets.concept = by_facet.concept
        and facets.category = by_facet.category
        and facets.origin = by_facet.origin
        and facets.facet_origin = by_facet.facet_origin
        and by_facet.dimension = 'facet'
left join surrogate_indices as by_language
    on
        facets.dataset = by_language.dataset
        and facets.run_id = by_language.run_id
        and facets.layer = by_language.layer
        and facets.unit = by_language.unit
        and facets.concept = by_language.concept
        and facets.category = by_language.category
        and facets.origin = by_language.origin
        and facets.facet_origin = by_language.facet_origin
        and by_language.dimension = 'word language'
left join neuron_labels
    on
        facets.dataset = neuron_labels.dataset
        and facets.run_id = neuron_labels.run_id
        and facets.layer = neuron_labels.layer
        and facets.unit = neuron_labels.unit
        and facets.concept = neuron_labels.concept
        and facets.category = neuron_labels.category
        and facets.origin = neuron_labels.origin;
