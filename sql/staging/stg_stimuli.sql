-- view:    stg_stimuli
-- grain:   one row per example that is a controlled stimulus
-- key:     dataset, example_id
-- reads:   raw_stimuli
-- purpose: What controlled stimuli show by construction.
--
-- column  type  unit  meaning
-- dataset, example_id, stimulus, concept, category, facet, drawing_set, text, language,
-- script, font, font_size_px, ink, paper, rotation_deg, placement, control,
-- attack_text, attack_concept, base_key, covered_frac, ink_name, word_name
select
    dataset, example_id, stimulus, concept, category, facet, drawing_set, text,
    language, script, font, font_size_px, ink, paper, rotation_deg, placement, control,
    attack_text, attack_concept, base_key, covered_frac, ink_name, word_name,
from raw_stimuli;
