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

tokenised as (
    select *, tokenise(phrase) as tokens,
    from lexicon
)

select
    concept, category, language,
    array_to_string(tokens, ' ') as phrase_key,
    any_value(tokens[1]) as first_token,
    any_value(len(tokens)) as token_count,
    min(phrase) as phrase,
from tokenised
where len(tokens) > 0
group by all;
