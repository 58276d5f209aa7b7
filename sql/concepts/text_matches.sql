-- view:    text_matches
-- grain:   one row per (text, first_position, concept, category)
-- key:     dataset, example_id, language, text_kind, text_rank, first_position,
--          token_count, concept, category
-- reads:   text_spans, text_tokens, lexicon_phrases, lexicon_rules, lexicon_senses
-- purpose: Each phrase of each text, the concept it could name, and why it does or not.
--
-- Rules, the first that holds: 'no concept': the phrase is listed as naming none.
-- 'spelling': written small what is always written with a capital ("china bowls"), or a
-- name and a word that differ in that alone ("Turkey", "turkey"). 'part of a word': a
-- piece of a longer word in a script without spaces. 'name of a person': after a given
-- name or an initial, or one itself before another capital; in English a colour that
-- ends a name ("Al Green"). 'name of a place': a name taken by a word beside it
-- ("Mount Cameroon", "Via Roma"). 'part of a name': a word with a capital that a
-- sentence does not ask for ("White House", "Mrs. Green"), and a country or city before
-- one that names nothing ("Boston Celtics"). 'other sense': what it means where such
-- words stand within 24 tokens ("bat" beside "baseball").
--
-- column          type     unit       meaning
-- dataset, example_id, language, text_kind, text_rank, base_language
-- first_position, token_count
-- phrase_key      varchar             the tokens of the text, one space between them
-- concept         varchar             the concept; null for a phrase that names none
-- category        varchar             its family; null likewise
-- phrase          varchar             the phrase of the lexicon
-- is_form         boolean             the text has an inflected form of it
-- refused_by      varchar             the rule that refuses it; null if it is found
with

phrases as materialized (
    select
        *,
        bool_or(is_name) over senses as has_name,
        bool_or(not is_name) over senses as has_word,
    from lexicon_phrases
    window senses as (partition by language, phrase_key)
),

rules as materialized (
    select *,
    from lexicon_rules
),

given_names as (
    select phrase_key,
    from rules
    where rule = 'given name'
),

words as (
    -- Single words of the lexicon, and whether they are always names.
    select language, phrase_key, bool_and(is_name) as is_name,
    from phrases
    where token_count = 1
    group by all
),

beside as (
    select
        text_spans.*,
        before_name.phrase_key is not null and before_word.phrase_key is null
            as is_after_given_name,
        coalesce(not after_word.is_name, false) as is_before_word,
        coalesce(after_word.is_name, false) as is_before_name,
        coalesce(before_word.is_name, false) as is_after_name,
        before_word.phrase_key is not null as is_after_phrase,
        own_name.phrase_key is not null as is_given_name,
        takes_next.phrase_key is not null or takes_next_2.phrase_key is not null
            as is_taken_before,
        takes_previous.phrase_key is not null as is_taken_after,
        joint_before.phrase_key is not null as is_after_joint,
        joint_after.phrase_key is not null as is_before_joint,
    from text_spans
    left join given_names as before_name
        on text_spans.token_before = before_name.phrase_key
    left join words as before_word
        on
            text_spans.token_before = before_word.phrase_key
            and text_spans.base_language = before_word.language
    left join words as after_word
        on
            text_spans.token_after = after_word.phrase_key
            and text_spans.base_language = after_word.language
    left join given_names as own_name on text_spans.phrase_key = own_name.phrase_key
    left join rules as takes_next
        on
            takes_next.rule = 'takes next'
            and text_spans.base_language = takes_next.language
            and text_spans.token_before = takes_next.phrase_key
    left join rules as takes_next_2
        on
            takes_next_2.rule = 'takes next'
            and text_spans.base_language = takes_next_2.language
            and text_spans.two_before = takes_next_2.phrase_key
    left join rules as takes_previous
        on
            takes_previous.rule = 'takes previous'
            and text_spans.base_language = takes_previous.language
            and text_spans.token_after = takes_previous.phrase_key
    left join rules as joint_before
        on
            joint_before.rule = 'joint'
            and text_spans.base_language = joint_before.language
            and text_spans.token_before = joint_before.phrase_key
    left join rules as joint_after
        on
            joint_after.rule = 'joint'
            and text_spans.base_language = joint_after.language
            and text_spans.token_after = joint_after.phrase_key
),

meant as materialized (
    select
        beside.*,
        concept, category, phrase, is_name, is_form, has_name, has_word,
        -- Capitals tell something, and no sentence asks for this one.
        is_plain and shape in ('C', 'c') as is_capital,
        break_before <> '.' as is_inside,
        shape_before in ('C', 'c', 'X') and break_before = ' ' as follows_capital,
        shape_after in ('C', 'c', 'X') and break_after = ' ' as precedes_capital,
    from beside
    left join phrases
        on
            beside.base_language = phrases.language
            and beside.phrase_key = phrases.phrase_key
),

with_company as (
    select
        meant.dataset, meant.example_id, meant.language, meant.text_kind,
        meant.text_rank,
        first_position, meant.concept, meant.category, rule, company,
        ' ' || array_to_string(
            list_slice(
                tokens,
                greatest(first_position - 24, 1),
                first_position + token_count + 23
            ),
            ' '
        ) as words,
    from meant
    inner join lexicon_senses
        on
            meant.base_language = lexicon_senses.language
            and lower(meant.phrase) = lexicon_senses.phrase
            and meant.concept = lexicon_senses.concept
            and meant.category = lexicon_senses.category
    inner join text_tokens
        on
            meant.dataset = text_tokens.dataset
            and meant.example_id = text_tokens.example_id
            and meant.language = text_tokens.language
            and meant.text_kind = text_tokens.text_kind
            and meant.text_rank = text_tokens.text_rank
    -- A phrase that is all of a text has no company that could tell.
    where len(tokens) > token_count
),

other_senses as (
    select distinct
        dataset, example_id, language, text_kind, text_rank,
        first_position, concept, category,
        true as is_other_sense,
    from with_company
    where
        (rule = 'without')
        = list_bool_or(list_transform(company, lambda word: contains(words, word)))
)

select
    dataset, example_id, language, text_kind, text_rank, base_language,
    first_position, token_count, phrase_key, concept, category, phrase, is_form,
    case
        when concept is null then 'no concept'
        when is_name and shape in ('l', 'L') and (has_capitals or has_word)
            then 'spelling'
        when not is_name and has_name and shape in ('c', 'C') and has_capitals
            then 'spelling'
        when
            base_language in ('ja', 'zh')
            and regexp_full_match(phrase_key, '[\p{Katakana}ー ]+')
            and (
                (
                    regexp_full_match(token_before, '[\p{Katakana}ー]')
                    and break_before = ' '
                    and not meets_before
                )
                or (
                    regexp_full_match(token_after, '[\p{Katakana}ー]')
                    and break_after = ' '
                    and not meets_after
                )
            )
            then 'part of a word'
        when
            base_language in ('ja', 'zh')
            and regexp_full_match(phrase_key, '\p{Han}')
            and (
                (
                    regexp_full_match(token_before, '\p{Han}')
                    and break_before = ' '
                    and not (meets_before or is_after_joint)
                    -- What a name ends with says what it is: a castle, a harbour.
                    and not (
                        category = 'place'
                        and regexp_full_match(two_before, '\p{Han} \p{Han}')
                    )
                )
                or (
                    regexp_full_match(token_after, '\p{Han}')
                    and break_after = ' '
                    and not (meets_after or is_before_joint)
                )
            )
            then 'part of a word'
        when
            shape in ('C', 'c')
            and is_after_given_name
            and follows_capital
            then 'name of a person'
        when
            shape in ('C', 'c')
            and shape_before = 'c'
            and break_before = '.'
            and length(token_before) = 1
            then 'name of a person'
        when
            shape in ('C', 'c')
            and is_given_name
            and token_count = 1
            and precedes_capital
            and not is_before_word
            and not is_before_name
            then 'name of a person'
        when
            shape in ('C', 'c', 'X')
            and (
                (
                    is_taken_before
                    and (break_before = ' ' or is_short_title(token_before))
                )
                or (is_taken_after and break_after = ' ' and shape_after in ('C', 'c'))
            )
            then 'name of a place'
        when
            is_capital
            and category = 'region'
            and phrase_key = lower(concept)
            and precedes_capital
            and not (is_before_word or is_before_name)
            then 'part of a name'
        when
            is_capital
            and not is_name
            and category = 'place'
            and is_inside
            and base_language not in ('de', 'lb', 'en')
            and not (follows_capital or precedes_capital)
            then 'part of a name'
        when
            is_capital
            and not is_name
            and category not in (
                'place', 'religion', 'region', 'brand', 'holiday', 'time', 'art_style',
                'fictional_universe', 'person_trait', 'image_feature', 'typographic'
            )
            -- German writes every noun with a capital: there only colours tell.
            and (
                base_language not in ('de', 'lb')
                or (is_inside and category = 'color')
            )
            and (is_inside or (precedes_capital and not is_before_name))
            then 'part of a name'
        -- An English colour stands before its noun, also in a title: "Al Green".
        when
            base_language = 'en'
            and category = 'color'
            and shape in ('C', 'c')
            and follows_capital
            and not precedes_capital
            and not (is_after_phrase or is_after_joint)
            then 'name of a person'
        when is_other_sense then 'other sense'
    end as refused_by,
from meant
left join other_senses
    using (
        dataset, example_id, language, text_kind, text_rank,
        first_position, concept, category
    );
