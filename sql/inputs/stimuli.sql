-- view:    stimuli
-- grain:   one row per example that is a controlled stimulus
-- key:     dataset, example_id
-- reads:   stg_stimuli
-- purpose: What controlled stimuli show by construction; other examples have no row.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030
--
-- Made by neurons stimuli, or by whoever writes the member "stimulus" into the JSON of
-- a sample; file names such as label=cat_text=dog.png say it too. Fields that do not
-- apply are null.
--
-- column  type  unit  meaning
-- dataset, example_id, stimulus, concept, category, facet, drawing_set, text, language,
-- script, font, font_size_px, ink, paper, rotation_deg, placement, control,
-- attack_text, attack_concept, base_key, covered_frac, ink_name, word_name
select
    dataset, example_id, stimulus, concept, category, facet, drawing_set, text,
    language, script, font, font_size_px, ink, paper, rotation_deg, placement, control,
    attack_text, attack_concept, base_key, covered_frac, ink_name, word_name,
from stg_stimuli;
