-- view:    text_spans
-- grain:   one row per (text, first_position, token_count)
-- key:     dataset, example_id, language, text_kind, text_rank, first_position,
--          token_count
-- reads:   text_tokens, lexicon_phrases, lexicon_rules
-- purpose: Where a text has a phrase of the lexicon, and what stands beside it.
--
-- The longest phrase wins: one inside a longer one of the same text is not here, be the
-- longer one a concept's ("Papua New Guinea" holds no Guinea) or of none ("nail
-- polish"). In scripts without spaces one that overlaps an earlier one is not here
-- either. Cost: a position is looked up by its token, then by its head: up to three
-- tokens, as many as a phrase with that first token has; so it grows with the texts,
-- not with texts x lexicon. A long text is searched in parts of 64 tokens, so it grows
-- with its length, not with the square; and a position carries the words beside it one
-- by one, because lists are copied at every join.
--
-- column          type     unit       meaning
-- dataset, example_id, language, text_kind, text_rank, base_language
-- first_position  bigint   index 1..  of its first token
-- token_count
-- phrase_key      varchar             the tokens, one space between them
-- shape           varchar             how its first token is written, see shapes_of
-- shape_before    varchar             the same of the token before; empty if none is
-- shape_after     varchar             the same of the token after
-- break_before    varchar             what stands before it, see breaks_of
-- break_after     varchar             what stands before the token after it
-- two_before      varchar             the two tokens before, one space between them
-- token_before    varchar             the token before; empty if there is none
-- token_after     varchar             the token after
-- meets_before    boolean             another one ends where it begins
-- meets_after     boolean             another one begins where it ends
-- is_plain        boolean             the text has capitals, and small words too
-- has_capitals    boolean             the text has a capital letter
with

keys as (
    select language as base_language, phrase_key, first_token, token_count,
    from lexicon_phrases
    union
    select language as base_language, phrase_key, first_token, token_count,
    from lexicon_rules
    where rule = 'no concept'
),

phrase_keys as materialized (
    select
        *,
        if(
            token_count <= 3,
            phrase_key,
            array_to_string(list_slice(string_split(phrase_key, ' '), 1, 3), ' ')
        ) as head,
    from keys
),

phrase_starts as materialized (
    select distinct
        base_language,
        first_token as token,
        least(token_count, 3) as head_count,
    from phrase_keys
),

longest as (
    select max(token_count) as longest_count,
    from phrase_keys
),

cut_texts as (
    select
        * exclude (tokens, shapes, breaks),
        -- In English short small words stand in titles too ("Ships of the Sea").
        regexp_matches(shapes, if(base_language = 'en', 'L', '[Ll]'))
        and regexp_matches(shapes, '[CXc]') as is_plain,
        regexp_matches(shapes, '[CXc]') as has_capitals,
        regexp_extract_all(array_to_string(tokens, ' '), '[^ ]+(?: [^ ]+){0,63}')
            as parts,
        regexp_extract_all(shapes, '.{1,64}') as shape_parts,
        regexp_extract_all(breaks, '.{1,64}') as break_parts,
    from text_tokens
),

parts as (
    select
        * exclude (parts, shape_parts, break_parts),
        string_split(unnest(parts), ' ') as tokens,
        string_split(unnest(list_slice(parts, 2, len(parts))), ' ') as next_tokens,
        regexp_extract(unnest(list_prepend('', parts)), '(?:[^ ]+ )?[^ ]*$')
            as tokens_before,
        unnest(shape_parts) as shapes,
        unnest(list_slice(shape_parts, 2, len(shape_parts))) as next_shapes,
        right(unnest(list_prepend('', shape_parts)), 1) as shape_before,
        unnest(break_parts) as breaks,
        unnest(list_slice(break_parts, 2, len(break_parts))) as next_breaks,
        64 * unnest(range(0, len(parts))) as count_before,
    from cut_texts
),

padded_parts as (
    select
        * exclude (tokens, next_tokens, tokens_before, next_shapes, next_breaks),
        len(parts.tokens) as part_count,
        -- Two tokens before the part, the part, and as many after as a phrase can need.
        list_concat(
            if(
                tokens_before like '% %',
                string_split(tokens_before, ' '),
                ['', coalesce(tokens_before, '')]
            ),
            tokens,
            list_slice(next_tokens, 1, longest_count)
        ) as padded,
        array_to_string(padded, ' ') as padded_tokens,
        shapes || coalesce(left(next_shapes, longest_count::integer), '') as shapes,
        breaks || coalesce(left(next_breaks, longest_count::integer), '') as breaks,
    from parts
    cross join longest
),

positions as (
    select
        * exclude (padded),
        unnest(range(1, part_count + 1)) as first_position,
        unnest(list_slice(padded, 1, part_count)) as token_2_before,
        unnest(list_slice(padded, 2, part_count + 1)) as token_before,
        unnest(list_slice(padded, 3, part_count + 2)) as token,
        unnest(list_slice(padded, 4, part_count + 3)) as token_2,
        unnest(list_slice(padded, 5, part_count + 4)) as token_3,
        unnest(list_slice(padded, 6, part_count + 5)) as token_4,
    from padded_parts
),

heads as (
    select
        *,
        case head_count
            when 1 then token
            when 2 then token || ' ' || token_2
            else token || ' ' || token_2 || ' ' || token_3
        end as head,
    from positions
    inner join phrase_starts using (base_language, token)
),

found as (
    select
        dataset, example_id, language, text_kind, text_rank, base_language,
        count_before + first_position as first_position,
        token_count,
        phrase_key,
        substring(shapes, first_position, 1) as shape,
        if(
            first_position = 1, shape_before, substring(shapes, first_position - 1, 1)
        ) as shape_before,
        substring(shapes, first_position + token_count, 1) as shape_after,
        substring(breaks, first_position, 1) as break_before,
        substring(breaks, first_position + token_count, 1) as break_after,
        token_2_before || ' ' || token_before as two_before,
        token_before,
        coalesce(
            case token_count
                when 1 then token_2
                when 2 then token_3
                when 3 then token_4
                else string_split(padded_tokens, ' ')[first_position + token_count + 2]
            end,
            ''
        ) as token_after,
        is_plain, has_capitals,
    from heads
    inner join phrase_keys using (base_language, head)
    where
        token_count <= 3
        or phrase_key = array_to_string(
            list_slice(
                string_split(padded_tokens, ' '),
                first_position + 2,
                first_position + token_count + 1
            ),
            ' '
        )
),

spans as (
    select
        *,
        coalesce(max(first_position + token_count) over earlier, 0) as covered_until,
    from found
    window
        earlier as (
            partition by dataset, example_id, language, text_kind, text_rank
            order by first_position asc, token_count desc
            rows between unbounded preceding and 1 preceding
        )
),

-- In this order an earlier span that reaches as far as a later one contains it.
longest_spans as (
    select * exclude (covered_until),
    from spans
    where
        covered_until < first_position + token_count
        and (
            covered_until <= first_position or base_language not in ('ja', 'zh', 'th')
        )
)

select
    dataset, example_id, language, text_kind, text_rank, base_language,
    first_position, token_count, phrase_key, shape, shape_before, shape_after,
    break_before, break_after, two_before, token_before, token_after,
    coalesce(
        lag(first_position + token_count) over by_position = first_position, false
    ) as meets_before,
    coalesce(
        lead(first_position) over by_position = first_position + token_count, false
    ) as meets_after,
    is_plain, has_capitals,
from longest_spans
window
    by_position as (
        partition by dataset, example_id, language, text_kind, text_rank
        order by first_position
    );
