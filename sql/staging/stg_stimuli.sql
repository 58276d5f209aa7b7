-- view:    stg_stimuli
-- grain:   one row per example that is a controlled stimulus
-- key:     dataset, example_id
-- reads:   raw_stimuli
-- purpose: What controlled stimuli show by construction.
--
-- column          type     unit       meaning
-- dataset         varchar             name of the dataset
-- example_id      bigint   id         shard ordinal x 2^20 + position in the shard
-- stimulus        varchar             picture, word, typographic, stroop or derived
-- concept         varchar             what it shows or says; typographic: what the
--                                     clean image shows
-- category        varchar             family of the concept
-- facet           varchar             photo, colour drawing, flat drawing, 3d
--                                     rendering, line drawing, edge map, silhouette,
--                                     rendered word or colour card
-- drawing_set     varchar             which set of drawings it is from
-- text            varchar             what is written in the image
-- language        varchar  BCP 47     language of that text
-- script          varchar  ISO 15924  script of that text
-- font            varchar             name of the font
-- font_size_px    float    px         size of the font (em)
-- ink             varchar  #rrggbb    colour of the text
-- paper           varchar  #rrggbb    colour behind the text or drawing
-- rotation_deg    float    degrees    counter-clockwise turn of the text
-- placement       varchar             where the text or patch is: centre, anywhere,
--                                     top-left ...
-- control         varchar             typographic: clean, blank, right_word, attack;
--                                     stroop: neutral, congruent, incongruent
-- attack_text     varchar             text of the attack, which the controls are beside
-- attack_concept  varchar             concept that the attack text names
-- base_key        varchar             key of the clean image: groups the versions of
--                                     one image
-- covered_frac    float    0..1       share of the pixels that the patch covers
-- ink_name        varchar             stroop: name of the colour of the ink
-- word_name       varchar             stroop: colour that the word names; null if
--                                     neutral
select
    dataset, example_id, stimulus, concept, category, facet, drawing_set, text,
    language, script, font, font_size_px, ink, paper, rotation_deg, placement, control,
    attack_text, attack_concept, base_key, covered_frac, ink_name, word_name,
from raw_stimuli;
