-- view:    lexicon_rules
-- grain:   one row per (rule, language, phrase_key)
-- key:     rule, language, phrase_key
-- reads:   lexicon
-- purpose: Phrases that name no concept, and words that tell what beside them does not.
-- cite:    pipeline/concepts/phrases.py says what each rule is
--
-- column       type     unit       meaning
-- rule         varchar             what the phrase does
-- language     varchar  BCP 47     base language of the phrase, mul in every one
-- phrase_key   varchar             tokens of the phrase, one space between them
-- first_token  varchar             first of these tokens
-- token_count  bigint   count 1..  how many tokens
select distinct
    rule, language, phrase_key,
    split_part(phrase_key, ' ', 1) as first_token,
    length(phrase_key) - length(replace(phrase_key, ' ', '')) + 1 as token_count,
from lexicon
where rule is not null and phrase_key <> '';
