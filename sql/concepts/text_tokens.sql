-- view:    text_tokens
-- grain:   one row per (dataset, example_id, language, text_kind, text_rank)
-- key:     dataset, example_id, language, text_kind, text_rank
-- reads:   stg_texts, settings
-- purpose: The texts that are searched for concepts, cut into tokens.
--
-- column         type       unit    meaning
-- dataset, example_id, language, text_kind, text_rank
-- base_language  varchar    BCP 47  language part of the tag; the default if unknown
-- tokens         varchar[]          lower-case words; Han, Kana, Thai by character
-- shapes         varchar            a letter a token: how it is written, see shapes_of
-- breaks         varchar            a sign a token: what is before it, see breaks_of
with

parted as (
    select
        dataset, example_id, language, text_kind, text_rank,
        base_language(language, default_language) as base_language,
        part_words(text) as parted,
    from stg_texts
    cross join settings
    where list_contains(text_kinds, text_kind)
),

cut as (
    select
        *,
        words_of(parted) as words,
    from parted
)

select
    dataset, example_id, language, text_kind, text_rank, base_language,
    string_split(fold(array_to_string(nullif(words, []), ' ')), ' ') as tokens,
    shapes_of(words) as shapes,
    breaks_of(parted) as breaks,
from cut;
