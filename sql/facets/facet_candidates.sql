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
-- dataset         varchar             name of the dataset
-- model_id        varchar             architecture:pretrained
-- run_id          varchar             the run
-- layer           varchar             module path, point and pooling
-- unit            integer  index 0..  position of the neuron inside its layer
-- candidate_rank  bigint   rank 1..4  1 = the neuron's choice, which summaries count
-- concept         varchar             name of the concept
-- category        varchar             family that it belongs to
-- origin          varchar             whose word it is: stimulus, texts, similarity
with

eligible as (
    select
        neuron_concepts.dataset,
        neuron_concepts.model_id,
        neuron_concepts.run_id,
        neuron_concepts.layer,
        neuron_concepts.unit,
        neuron_concepts.concept,
        neuron_concepts.category,
        neuron_concepts.origin,
        neuron_concepts.screening_z,
        neuron_concepts.screening_auroc,
        coalesce(label_candidates.is_choice, false) as is_choice,
    from neuron_concepts
    cross join settings
    left join stg_layers as text_layers
        on
            neuron_concepts.dataset = text_layers.dataset
            and neuron_concepts.run_id = text_layers.run_id
            and neuron_concepts.layer = text_layers.layer
            and text_layers.tower = 'text'
    left join label_candidates
        on
            neuron_concepts.dataset = label_candidates.dataset
            and neuron_concepts.run_id = label_candidates.run_id
            and neuron_concepts.layer = label_candidates.layer
            and neuron_concepts.unit = label_candidates.unit
            and neuron_concepts.concept = label_candidates.concept
            and neuron_concepts.category = label_candidates.category
            and neuron_concepts.origin = label_candidates.origin
    where
        text_layers.layer is null
        and list_contains(settings.label_origins, neuron_concepts.origin)
        and neuron_concepts.screening_auroc > 0.5
        and neuron_concepts.screening_z is not null
),

distinct_concepts as (
    select
        eligible.dataset,
        eligible.model_id,
        eligible.run_id,
        eligible.layer,
        eligible.unit,
        eligible.concept,
        eligible.category,
        eligible.origin,
        eligible.screening_z,
        eligible.screening_auroc,
        eligible.is_choice,
    from eligible
    qualify
        row_number() over (
            partition by
                eligible.dataset,
                eligible.run_id,
                eligible.layer,
                eligible.unit,
                eligible.concept,
                eligible.category
            order by
                eligible.is_choice desc,
                eligible.screening_z desc,
                eligible.origin asc
        ) = 1
),

ranked as (
    select
        distinct_concepts.dataset,
        distinct_concepts.model_id,
        distinct_concepts.run_id,
        distinct_concepts.layer,
        distinct_concepts.unit,
        row_number() over (
            partition by
                distinct_concepts.dataset,
                distinct_concepts.run_id,
                distinct_concepts.layer,
                distinct_concepts.unit
            order by
                distinct_concepts.is_choice desc,
                distinct_concepts.screening_z desc,
                distinct_concepts.screening_auroc desc,
                distinct_concepts.concept asc,
                distinct_concepts.category asc
        ) as candidate_rank,
        distinct_concepts.concept,
        distinct_concepts.category,
        distinct_concepts.origin,
        bool_or(distinct_concepts.is_choice) over (
            partition by
                distinct_concepts.dataset,
                distinct_concepts.run_id,
                distinct_concepts.layer,
                distinct_concepts.unit
        ) as has_choice,
    from distinct_concepts
)

select
    ranked.dataset,
    ranked.model_id,
    ranked.run_id,
    ranked.layer,
    ranked.unit,
    ranked.candidate_rank,
    ranked.concept,
    ranked.category,
    ranked.origin,
from ranked
where ranked.candidate_rank <= case when ranked.has_choice then 4 else 3 end;
