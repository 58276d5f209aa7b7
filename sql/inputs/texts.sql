-- view:    texts
-- grain:   one row per (example, language, text_kind, text_rank)
-- key:     dataset, example_id, language, text_kind, text_rank
-- reads:   stg_texts
-- purpose: Every text that came with an image, in every language.
--
-- column      type     unit      meaning
-- dataset     varchar            name of the dataset
-- example_id  bigint   id        the example
-- language    varchar  BCP 47    language of the text; 'und' if unknown
-- text_kind   varchar            caption, alt, attribution, page_title, section ...
-- text_rank   integer  rank 1..  order among texts of the same language and kind
-- text        varchar            the text
-- page_title  varchar            title of the page it stood on, or null
select
    dataset, example_id, language, text_kind, text_rank, text, page_title,
from stg_texts;
