-- view:    texts
-- grain:   one row per (example, language, text_kind, text_rank)
-- key:     dataset, example_id, language, text_kind, text_rank
-- reads:   stg_texts
-- purpose: Every text that came with an image, in every language.
--
-- column      type     unit  meaning
-- dataset, example_id, language
-- text_kind   varchar        caption, alt, attribution, page_title, section ...
-- text_rank
-- text        varchar        the text
-- page_title  varchar        title of the page it stood on, or null
select
    dataset, example_id, language, text_kind, text_rank, text, page_title,
from stg_texts;
