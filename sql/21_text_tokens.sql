-- view:    text_tokens
-- grain:   one row per (dataset, example_id, language, text_kind, text_rank)
-- key:     dataset, example_id, language, text_kind, text_rank
-- reads:   stg_texts, settings
-- purpose: The texts that are searched for concepts, cut into tokens.
--
-- column         type       unit       meaning
-- dataset        varchar               name of the dataset
-- example_id     bigint     id         shard ordinal x 2^20 + position in the shard
-- language       varchar    BCP 47     language of the text, as it came
-- text_kind      varchar               caption, alt, page_title, ...
-- text_rank      integer    rank 1..   order among texts of the same kind
-- base_language  varchar    BCP 47     language part of the tag; the default if unknown
-- tokens         varchar[]             lower-case words; Han, Kana, Thai by character
with

stg_texts as (
    select
        stg_texts.dataset,
        stg_texts.example_id,
        stg_texts.language,
        stg_texts.text_kind,
        stg_texts.text_rank,
        stg_texts.text
    from stg_texts
),

settings as (
    select
        settings.default_language,
        settings.text_kinds
    from settings
),

tokenised as (
    select
        stg_texts.dataset,
        stg_texts.example_id,
        stg_texts.language,
        stg_texts.text_kind,
        stg_texts.text_rank,
        base_language(stg_texts.language, settings.default_language) as base_language,
        tokenise(stg_texts.text) as tokens
    from stg_texts
    cross join settings
    where list_contains(settings.text_kinds, stg_texts.text_kind)
)

select
    tokenised.dataset,
    tokenised.example_id,
    tokenised.language,
    tokenised.text_kind,
    tokenised.text_rank,
    tokenised.base_language,
    tokenised.tokens
from tokenised;
