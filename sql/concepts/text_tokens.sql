-- view:    text_tokens
-- grain:   one row per (dataset, example_id, language, text_kind, text_rank)
-- key:     dataset, example_id, language, text_kind, text_rank
-- reads:   image_texts, settings
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

image_texts as (
    select
        image_texts.dataset,
        image_texts.example_id,
        image_texts.language,
        image_texts.text_kind,
        image_texts.text_rank,
        image_texts.text
    from image_texts
),

settings as (
    select
        settings.default_language,
        settings.text_kinds
    from settings
),

tokenised as (
    select
        image_texts.dataset,
        image_texts.example_id,
        image_texts.language,
        image_texts.text_kind,
        image_texts.text_rank,
        base_language(image_texts.language, settings.default_language) as base_language,
        tokenise(image_texts.text) as tokens
    from image_texts
    cross join settings
    where list_contains(settings.text_kinds, image_texts.text_kind)
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
