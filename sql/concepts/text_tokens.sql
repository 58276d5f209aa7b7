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
select
    dataset, example_id, language, text_kind, text_rank,
    base_language(language, default_language) as base_language,
    tokenise(text) as tokens,
from stg_texts
cross join settings
where list_contains(text_kinds, text_kind);
