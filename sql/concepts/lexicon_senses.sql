-- view:    lexicon_senses
-- grain:   one row per (rule, language, phrase, concept, category)
-- key:     rule, language, phrase, concept, category
-- reads:   lexicon
-- purpose: Phrases that mean something else in some company: a bat in a baseball game.
-- cite:    pipeline/concepts/senses.csv has them
--
-- column            type       unit     meaning
-- rule              varchar             with: it means the concept beside one of the
--                                       words only; without: beside none of them
-- language          varchar    BCP 47   base language of the phrase
-- phrase            varchar             as lexicon_phrases has it, in small letters
-- concept           varchar             English name of the concept
-- category          varchar             family that it belongs to
-- company           varchar[]           beginnings of words, as tokens after a space
select
    rule, language, lower(phrase) as phrase, concept, category,
    list_transform(
        string_split(forms, '|'),
        lambda word: ' ' || array_to_string(tokenise(word), ' ')
    ) as company,
from lexicon
where rule in ('with', 'without');
