-- view:    concept_effects
-- grain:   one row per neuron that was measured, level and tested concept
-- key:     dataset, run_id, layer, unit, level, concept
-- reads:   raw_concept_effects, stg_runs
-- purpose: How setting a neuron changes the similarity of images to every concept.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030
--
-- Averages over the neuron's hidden examples, see effect_levels.
--
-- column            type     unit       meaning
-- dataset, model_id, run_id, layer, unit
-- level             float    x maximum  what the activation is set to; 0 ablates
-- concept           varchar             a concept that neurons are tested for
-- cosine_change     float    -2..2      mean change of images' cosine with its prompts
-- cosine_direction  float    -2..2      the same with the random direction instead
select
    dataset, model_id, run_id, layer, unit, level, concept, cosine_change,
    cosine_direction,
from raw_concept_effects
inner join stg_runs using (dataset, run_id);
