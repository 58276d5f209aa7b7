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
select
    dataset, example_id, language, text_kind, text_rank,
    base_language(language, default_language) as base_language,
    tokenise(text) as tokens,
from stg_texts
cross join settings
where list_contains(text_kinds, text_kind);
