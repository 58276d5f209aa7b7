-- view:    label_candidates
-- grain:   one row per neuron and concept that its top examples show on screening
-- key:     dataset, run_id, layer, unit, concept, category, origin
-- reads:   neuron_concepts, settings
-- purpose: The concepts that a neuron might stand for, and the one that is chosen.
-- cite:    Quiroga et al. 2005, doi:10.1038/nature03687 (screening and testing)
--
-- In order of the screening half alone: the more enriched among the neuron's top
-- examples (screening_top_log10_p) goes first; ties by screening_auroc, then by name.
-- Those that label_min_count top examples show and whose images excite the neuron more
-- than others do (screening_auroc above 0.5) go before those that cannot be chosen. The
-- first is the choice, if it can be. Only the label_origins have a say. Where the AUROC
-- was not tested (layers.is_cut), enrichment decides alone.
--
-- column          type     unit      meaning
-- dataset, model_id, run_id, layer, unit
-- candidate_rank  bigint   rank 1..  order of the candidates
-- concept         varchar            name of the concept
-- category, origin
-- is_choice       boolean            the one that is tested on the testing half
-- auroc, z, positive_count, top_count, top_size, lift, top_log10_p
with

told as (
    select
        neuron_concepts.*,
        screening_top_count >= label_min_count
        and (screening_auroc is null or screening_auroc > 0.5) as can_be_chosen,
    from neuron_concepts
    cross join settings
    where list_contains(label_origins, origin) and screening_top_count > 0
),

ranked as (
    select
        *,
        row_number() over (
            partition by dataset, run_id, layer, unit
            order by
                can_be_chosen desc,
                screening_top_log10_p asc,
                screening_auroc desc,
                concept asc,
                category asc,
                origin asc
        ) as candidate_rank,
    from told
)

select
    dataset, model_id, run_id, layer, unit, candidate_rank, concept, category, origin,
    candidate_rank = 1 and can_be_chosen as is_choice,
    auroc, z, positive_count, top_count, top_size, lift, top_log10_p,
from ranked;
