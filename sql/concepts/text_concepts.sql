-- view:    text_concepts
-- grain:   one row per (text, concept, category)
-- key:     dataset, example_id, language, text_kind, text_rank, concept, category
-- reads:   text_matches
-- purpose: The lexicon's concepts that a text names; the longest match wins.
--
-- A phrase inside a longer phrase of the same text is dropped: "Papua New Guinea" does
-- not name Guinea. One phrase may name several concepts ("orange": a colour and a
-- fruit); all are kept. What the rules of text_matches refuse is not here.
--
-- column         type     unit       meaning
-- dataset, example_id
-- language       varchar  BCP 47     language of the text, as it came
-- text_kind      varchar             caption, alt, page_title, ...
-- text_rank      integer  rank 1..   order among texts of the same kind
-- concept, category
-- base_language  varchar  BCP 47     language in which it was looked up
-- match_count    bigint   count 1..  places of the text that name it
-- phrase         varchar             shortest of these phrases, then first by name
select
    dataset, example_id, language, text_kind, text_rank,
    concept, category, base_language,
    count(*) as match_count,
    min((length(phrase), phrase))[2] as phrase,
from text_matches
where refused_by is null
group by all;
