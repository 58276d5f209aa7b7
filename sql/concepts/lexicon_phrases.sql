-- view:    lexicon_phrases
-- grain:   one row per (concept, category, language, phrase_key)
-- key:     concept, category, language, phrase_key
-- reads:   lexicon, stg_texts, settings
-- purpose: What texts are searched for: phrases and their forms as token sequences.
-- cite:    pipeline/concepts/lexicon.py names the sources of the lexicon
--
-- Those of the languages that the texts are in: of some 270 most warehouses have few.
--
-- column       type     unit       meaning
-- concept      varchar             English name of the concept
-- category     varchar             family that it belongs to
-- language     varchar  BCP 47     base language of the phrase
-- phrase_key   varchar             tokens of the phrase, one space between them
-- first_token  varchar             first of these tokens
-- token_count  bigint   count 1..  how many tokens
-- phrase       varchar             the phrase as it is written; of a form, its phrase
-- is_name      boolean             whether it is always written with a capital
-- is_form      boolean             whether it is an inflected form of the phrase
with

languages as (
    select distinct base_language(language, default_language) as language,
    from stg_texts
    cross join settings
    where list_contains(text_kinds, text_kind)
),

terms as materialized (
    select lexicon.*,
    from lexicon
    semi join languages using (language)
    where rule is null
),

keys as (
    select
        concept, category, language, phrase, phrase_key,
        false as is_form,
    from terms
    union all
    select
        concept, category, language, phrase,
        unnest(string_split(forms, '|')) as phrase_key,
        true as is_form,
    from terms
    where forms is not null
)

select
    concept, category, language, phrase_key,
    any_value(split_part(phrase_key, ' ', 1)) as first_token,
    any_value(length(phrase_key) - length(replace(phrase_key, ' ', '')) + 1)
        as token_count,
    min(phrase) as phrase,
    bool_and(left(phrase, 1) <> lower(left(phrase, 1))) as is_name,
    bool_and(keys.is_form) as is_form,
from keys
where phrase_key <> ''
group by all;
