-- view:    stg_texts
-- grain:   one row per (example, language, text_kind, text_rank)
-- key:     dataset, example_id, language, text_kind, text_rank
-- reads:   raw_texts
-- purpose: Every text that came with an image.
--
-- column  type  unit  meaning
-- dataset, example_id, language, text_kind, text_rank, text, page_title
select
    dataset, example_id, language, text_kind, text_rank, text, page_title,
from raw_texts
where text_kind <> 'concept';
