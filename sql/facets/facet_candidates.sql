-- view:    facet_candidates
-- grain:   one row per (neuron, concept, category, origin) that is a candidate
-- key:     dataset, run_id, layer, unit, concept, category, origin
-- reads:   neuron_concepts, label_candidates, stg_layers, settings
-- purpose: The concepts that the Halle Berry test asks each neuron for.
-- cite:    Quiroga et al. 2005, doi:10.1038/nature03687 (screening and testing)
--
-- Chosen on the screening half alone. The first is the one that neuron_labels tests
-- (the choice of label_candidates), if there is one; the others have the largest
-- screening_z. A concept in one category counts once, by the origin that ranks first.
-- Concepts that excite the neuron no more than others do (screening_auroc at or below
-- 0.5) are none. Layers of a text tower have no candidates: they see a text, which is
-- the same in whatever form the image shows the concept.
--
-- column          type     unit       meaning
-- dataset, model_id, run_id, layer, unit
-- candidate_rank  bigint   rank 1..4  1 = the neuron's choice, which summaries count
-- concept         varchar             name of the concept
-- category, origin
with

text_layers as (
    select dataset, run_id, layer,
    from stg_layers
    where tower = 'text'
),

eligible as (
    select neuron_concepts.*, coalesce(is_choice, false) as is_choice,
    from neuron_concepts
    cross join settings
    anti join text_layers using (dataset, run_id, layer)
    left join label_candidates
        using (dataset, run_id, layer, unit, concept, category, origin)
    where
        list_contains(label_origins, origin)
        and screening_auroc > 0.5
        and screening_z is not null
),

distinct_concepts as (
    select *
    from eligible
    qualify
        row_number() over (
            partition by dataset, run_id, layer, unit, concept, category
            order by is_choice desc, screening_z desc, origin asc
        ) = 1
),

ranked as (
    select
        *,
        row_number() over (
            partition by dataset, run_id, layer, unit
            order by
                is_choice desc,
                screening_z desc,
                screening_auroc desc,
                concept asc,
                category asc
        ) as candidate_rank,
        bool_or(is_choice) over (
            partition by dataset, run_id, layer, unit
        ) as has_choice,
    from distinct_concepts
)

select
    dataset, model_id, run_id, layer, unit, candidate_rank, concept, category, origin,
from ranked
where candidate_rank <= if(has_choice, 4, 3);
