-- view:    neuron_facets
-- grain:   one row per (neuron, candidate concept, stratum)
-- key:     dataset, run_id, layer, unit, concept, category, origin, dimension, stratum,
--          facet_origin
-- reads:   raw_facet_aurocs, stg_runs, settings
-- purpose: Does a neuron answer to its concept within one form, or in one language?
-- cite:    Quiroga et al. 2005, doi:10.1038/nature03687 (surrogates)
--
-- auroc is that of the stratum's images that show the concept against the stratum's
-- other images, so that a neuron gets no credit for telling drawings from photos. All
-- figures without screening_ are of the testing half. p_value = (1 + surrogates that
-- reach auroc) / 100, over 99 random sets of as many images of the same stratum. A
-- stratum with fewer than facet_min_count images that show it, or that do not, is not
-- tested: it neither passes nor fails. Where facet_min_count is set below its default
-- of three, figures of fewer than three images are thin (is_thin): one image decides
-- them, and even p_value 0.01 is weak evidence. Filled by neurons build.
--
-- column           type     unit     meaning
-- dataset, model_id, run_id, layer, unit, candidate_rank, concept, category, origin,
-- dimension, stratum, facet_origin, positive_count, other_count
-- is_tested        boolean           whether there are enough of both
-- is_thin          boolean           fewer than three of either
-- auroc            double   0..1     null if not tested
-- p_value          double   0.01..1  null if not tested
-- is_failed        boolean           auroc below facet_min_auroc, or p_value above
--                                    facet_max_p; null if not tested
-- screening_positive_count, screening_other_count
-- screening_auroc  double   0..1     null if there are not enough of both
with

tested as (
    select
        raw_facet_aurocs.*,
        model_id,
        -- both as float: surrogates are stored so, and must tie with what they equal
        surrogate_p(surrogate_aurocs, auroc::float) as p_value,
    from raw_facet_aurocs
    inner join stg_runs using (dataset, run_id)
)

select
    dataset, model_id, run_id, layer, unit, candidate_rank, concept, category, origin,
    dimension, stratum, facet_origin, positive_count, other_count,
    auroc is not null as is_tested,
    is_thin(positive_count, other_count) as is_thin,
    auroc,
    p_value,
    auroc < facet_min_auroc or p_value > facet_max_p as is_failed,
    screening_positive_count, screening_other_count, screening_auroc,
from tested
cross join settings;
