-- view:    lexicon_phrases
-- grain:   one row per (concept, category, language, phrase_key)
-- key:     concept, category, language, phrase_key
-- reads:   lexicon
-- purpose: The lexicon's phrases as token sequences, ready to be joined with n-grams.
-- cite:    pipeline/concepts/lexicon.py names the sources of the lexicon
--
-- column       type     unit       meaning
-- concept      varchar             English name of the concept
-- category     varchar             family that it belongs to
-- language     varchar  BCP 47     base language of the phrase
-- phrase_key   varchar             tokens of the phrase, one space between them
-- first_token  varchar             first of these tokens
-- token_count  bigint   count 1..  how many tokens
-- phrase       varchar             the phrase as it is written
with

lexicon as (
    select
        lexicon.concept,
        lexicon.category,
        lexicon.language,
        lexicon.phrase,
        tokenise(lexicon.phrase) as tokens
    from lexicon
),

phrases as (
    select
        lexicon.concept,
        lexicon.category,
        lexicon.language,
        array_to_string(lexicon.tokens, ' ') as phrase_key,
        any_value(lexicon.tokens[1]) as first_token,
        any_value(len(lexicon.tokens)) as token_count,
        min(lexicon.phrase) as phrase
    from lexicon
    where len(lexicon.tokens) > 0
    group by
        lexicon.concept,
        lexicon.category,
        lexicon.language,
        array_to_string(lexicon.tokens, ' ')
)

select
    phrases.concept,
    phrases.category,
    phrases.language,
    phrases.phrase_key,
    phrases.first_token,
    phrases.token_count,
    phrases.phrase
from phrases;
