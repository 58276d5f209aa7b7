-- view:    text_concepts
-- grain:   one row per (text, concept, category)
-- key:     dataset, example_id, language, text_kind, text_rank, concept, category
-- reads:   text_tokens, lexicon_phrases
-- purpose: The lexicon's concepts that a text names; the longest match wins.
--
-- A phrase inside a longer phrase of the same text is dropped: "Papua New Guinea" does
-- not name Guinea. One phrase may name several concepts ("orange": a colour and a
-- fruit); all are kept. Cost: texts are looked up by token in the short list of first
-- tokens, so it grows with the texts, not with texts x lexicon; and a long text is
-- searched in parts of 64 tokens, so it grows with its length, not with the square.
--
-- column         type     unit       meaning
-- dataset, example_id
-- language       varchar  BCP 47     language of the text, as it came
-- text_kind      varchar             caption, alt, page_title, ...
-- text_rank      integer  rank 1..   order among texts of the same kind
-- concept, category
-- base_language  varchar  BCP 47     language in which it was looked up
-- match_count    bigint   count 1..  places of the text that name it
-- phrase         varchar             shortest of these phrases, then first by name
with

phrases as materialized (
    -- Cutting the lexicon into tokens costs more than all else: once is enough.
    select *
    from lexicon_phrases
),

phrase_starts as (
    select distinct language as base_language, first_token as token, token_count,
    from phrases
),

longest as (
    select max(token_count) as longest_count,
    from phrase_starts
),

phrase_keys as (
    select distinct language as base_language, phrase_key,
    from phrases
),

cut_texts as (
    -- A long text in parts of 64 tokens: what stands beside each token stays short.
    select
        * exclude (tokens),
        regexp_extract_all(array_to_string(tokens, ' '), '[^ ]+(?: [^ ]+){0,63}')
            as parts,
    from text_tokens
),

parts as (
    select
        * exclude (parts),
        string_split(unnest(parts), ' ') as tokens,
        string_split(unnest(list_slice(parts, 2, len(parts))), ' ') as next_tokens,
        64 * unnest(range(0, len(parts))) as tokens_before,
    from cut_texts
),

positions as (
    select
        * exclude (tokens, next_tokens),
        list_concat(tokens, list_slice(next_tokens, 1, longest_count - 1)) as tokens,
        unnest(parts.tokens) as token,
        unnest(range(1, len(parts.tokens) + 1)) as first_position,
    from parts
    cross join longest
),

ngrams as (
    select
        dataset, example_id, language, text_kind, text_rank, base_language,
        tokens_before + first_position as first_position,
        token_count,
        array_to_string(
            list_slice(
                tokens,
                positions.first_position,
                positions.first_position + token_count - 1
            ),
            ' '
        ) as phrase_key,
    from positions
    inner join phrase_starts using (base_language, token)
    where positions.first_position + token_count <= len(tokens) + 1
),

spans as (
    select
        ngrams.*,
        coalesce(max(first_position + token_count) over earlier, 0) as covered_until,
    from ngrams
    inner join phrase_keys using (base_language, phrase_key)
    window
        earlier as (
            partition by dataset, example_id, language, text_kind, text_rank
            order by first_position asc, token_count desc
            rows between unbounded preceding and 1 preceding
        )
)

-- In this order an earlier span that reaches as far as a later one contains it.
select
    dataset, example_id, spans.language, text_kind, text_rank,
    concept, category, base_language,
    count(*) as match_count,
    min((length(phrase), phrase))[2] as phrase,
from spans
inner join phrases
    on
        spans.base_language = phrases.language
        and spans.phrase_key = phrases.phrase_key
where covered_until < first_position + spans.token_count
group by all;
