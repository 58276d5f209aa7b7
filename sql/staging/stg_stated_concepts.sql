-- view:    stg_stated_concepts
-- grain:   one row per (example, concept, category)
-- key:     dataset, example_id, concept, category
-- reads:   raw_texts
-- purpose: What the source of an image states that it shows.
--
-- A column concept of a table of captions, the member concepts of a sample's JSON, or
-- the folders that an image lies in.
--
-- column    type     unit  meaning
-- dataset, example_id
-- concept   varchar        its name, as the source has it
-- category  varchar        its family, as the source has it; own if it says none
select distinct dataset, example_id, text as concept, page_title as category,
from raw_texts
where text_kind = 'concept';
