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
-- column      type     unit      meaning
-- dataset     varchar            name of the dataset
-- example_id  bigint   id        the example
-- language    varchar  BCP 47    language of the text; 'und' if unknown
-- text_kind   varchar            caption, alt, attribution, page_title, section ...
-- text_rank   integer  rank 1..  order among texts of the same language and kind
-- text        varchar            the text
with

firsts as (
    select
        stg_texts.dataset,
        stg_texts.example_id,
        min_by(
            (
                stg_texts.language,
                stg_texts.text_kind,
                stg_texts.text_rank,
                stg_texts.text
            ),
            text_place(
                stg_texts.text_kind,
                stg_texts.language,
                stg_texts.text_rank,
                stg_texts.text
            )
        ) as entry,
    from stg_texts
    group by stg_texts.dataset, stg_texts.example_id
)

select
    firsts.dataset,
    firsts.example_id,
    firsts.entry[1] as language,
    firsts.entry[2] as text_kind,
    firsts.entry[3] as text_rank,
    firsts.entry[4] as text,
from firsts;
