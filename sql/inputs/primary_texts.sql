-- view:    primary_texts
-- grain:   one row per example that has a text
-- key:     dataset, example_id
-- reads:   stg_texts
-- purpose: The one text that stands for an image: what a text tower reads of it.
--
-- The first by kind (caption, alt, attribution, page_title, section_title, section,
-- page), then English, then a text of unknown language, then by language tag, then by
-- text_rank, then by the text itself. Extraction reads by the same rule, and it is the
-- text beside an image in neurons top, on cards and in reports.
--
-- column     type     unit  meaning
-- dataset, example_id, language
-- text_kind  varchar        caption, alt, attribution, page_title, section ...
-- text_rank
-- text       varchar        the text
with

firsts as (
    select
        dataset, example_id,
        min_by(stg_texts, text_place(text_kind, language, text_rank, text)) as entry,
    from stg_texts
    group by all
)

select
    dataset, example_id, entry.language, entry.text_kind, entry.text_rank, entry.text,
from firsts;
