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
-- first is the choice, if it can be. Only the label_origins have a say.
--
-- column          type     unit       meaning
-- dataset         varchar             name of the dataset
-- model_id        varchar             architecture:pretrained
-- run_id          varchar             the run
-- layer           varchar             module path, point and pooling
-- unit            integer  index 0..  position of the neuron inside its layer
-- candidate_rank  bigint   rank 1..   order of the candidates
-- concept         varchar             name of the concept
-- category        varchar             family that it belongs to
-- origin          varchar             whose word it is: texts, stimulus, similarity
-- is_choice       boolean             the one that is tested on the testing half
-- auroc           double   0..1       testing: as in neuron_concepts
-- z               double   SD         testing: as in neuron_concepts
-- positive_count  bigint   count      testing: images that show it
-- top_count       bigint   count      testing: top examples that show it
-- top_size        bigint   count      testing: top examples
-- lift            double   ratio      testing: how much more frequent it is there
-- top_log10_p     double   log10      testing: hypergeometric p of that
with

told as (
    select
        neuron_concepts.dataset,
        neuron_concepts.model_id,
        neuron_concepts.run_id,
        neuron_concepts.layer,
        neuron_concepts.unit,
        neuron_concepts.concept,
        neuron_concepts.category,
        neuron_concepts.origin,
        neuron_concepts.screening_top_count >= settings.label_min_count
        and neuron_concepts.screening_auroc > 0.5 as can_be_chosen,
        neuron_concepts.screening_top_log10_p,
        neuron_concepts.screening_auroc,
        neuron_concepts.auroc,
        neuron_concepts.z,
        neuron_concepts.positive_count,
        neuron_concepts.top_count,
        neuron_concepts.top_size,
        neuron_concepts.lift,
        neuron_concepts.top_log10_p,
    from neuron_concepts
    cross join settings
    where
        list_contains(settings.label_origins, neuron_concepts.origin)
        and neuron_concepts.screening_top_count > 0
),

ranked as (
    select
        told.dataset,
        told.model_id,
        told.run_id,
        told.layer,
        told.unit,
        row_number() over (
            partition by told.dataset, told.run_id, told.layer, told.unit
            order by
                told.can_be_chosen desc,
                told.screening_top_log10_p asc,
                told.screening_auroc desc,
                told.concept asc,
                told.category asc,
                told.origin asc
        ) as candidate_rank,
        told.concept,
        told.category,
        told.origin,
        told.can_be_chosen,
        told.auroc,
        told.z,
        told.positive_count,
        told.top_count,
        told.top_size,
        told.lift,
        told.top_log10_p,
    from told
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
    ranked.candidate_rank = 1 and ranked.can_be_chosen as is_choice,
    ranked.auroc,
    ranked.z,
    ranked.positive_count,
    ranked.top_count,
    ranked.top_size,
    ranked.lift,
    ranked.top_log10_p,
from ranked;
