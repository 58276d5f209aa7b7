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
-- dataset        varchar             name of the dataset
-- example_id     bigint   id         shard ordinal x 2^20 + position in the shard
-- language       varchar  BCP 47     language of the text, as it came
-- text_kind      varchar             caption, alt, page_title, ...
-- text_rank      integer  rank 1..   order among texts of the same kind
-- concept        varchar             English name of the concept
-- category       varchar             family that it belongs to
-- base_language  varchar  BCP 47     language in which it was looked up
-- match_count    bigint   count 1..  places of the text that name it
-- phrase         varchar             shortest of these phrases, then first by name
with

text_tokens as (
    select
        text_tokens.dataset,
        text_tokens.example_id,
        text_tokens.language,
        text_tokens.text_kind,
        text_tokens.text_rank,
        text_tokens.base_language,
        text_tokens.tokens
    from text_tokens
),

lexicon_phrases as (
    select
        lexicon_phrases.concept,
        lexicon_phrases.category,
        lexicon_phrases.language,
        lexicon_phrases.phrase_key,
        lexicon_phrases.first_token,
        lexicon_phrases.token_count,
        lexicon_phrases.phrase
    from lexicon_phrases
),

phrase_starts as (
    select distinct
        lexicon_phrases.language,
        lexicon_phrases.first_token,
        lexicon_phrases.token_count
    from lexicon_phrases
),

longest as (
    select max(phrase_starts.token_count) as token_count
    from phrase_starts
),

phrase_keys as (
    select distinct
        lexicon_phrases.language,
        lexicon_phrases.phrase_key
    from lexicon_phrases
),

cut_texts as (
    -- A long text in parts of 64 tokens: what stands beside each token stays short.
    select
        text_tokens.dataset,
        text_tokens.example_id,
        text_tokens.language,
        text_tokens.text_kind,
        text_tokens.text_rank,
        text_tokens.base_language,
        regexp_extract_all(
            array_to_string(text_tokens.tokens, ' '),
            '[^ ]+(?: [^ ]+){0,63}'
        ) as parts
    from text_tokens
),

parts as (
    select
        cut_texts.dataset,
        cut_texts.example_id,
        cut_texts.language,
        cut_texts.text_kind,
        cut_texts.text_rank,
        cut_texts.base_language,
        string_split(unnest(cut_texts.parts), ' ') as tokens,
        string_split(
            unnest(list_slice(cut_texts.parts, 2, len(cut_texts.parts))),
            ' '
        ) as next_tokens,
        64 * unnest(range(0, len(cut_texts.parts))) as tokens_before
    from cut_texts
),

positions as (
    select
        parts.dataset,
        parts.example_id,
        parts.language,
        parts.text_kind,
        parts.text_rank,
        parts.base_language,
        parts.tokens_before,
        list_concat(
            parts.tokens,
            list_slice(parts.next_tokens, 1, longest.token_count - 1)
        ) as tokens,
        unnest(parts.tokens) as token,
        unnest(range(1, len(parts.tokens) + 1)) as first_position
    from parts
    cross join longest
),

ngrams as (
    select
        positions.dataset,
        positions.example_id,
        positions.language,
        positions.text_kind,
        positions.text_rank,
        positions.base_language,
        positions.tokens_before + positions.first_position as first_position,
        phrase_starts.token_count,
        array_to_string(
            list_slice(
                positions.tokens,
                positions.first_position,
                positions.first_position + phrase_starts.token_count - 1
            ),
            ' '
        ) as phrase_key
    from positions
    inner join phrase_starts
        on
            positions.base_language = phrase_starts.language
            and positions.token = phrase_starts.first_token
    where
        positions.first_position + phrase_starts.token_count
        <= len(positions.tokens) + 1
),

spans as (
    select
        ngrams.dataset,
        ngrams.example_id,
        ngrams.language,
        ngrams.text_kind,
        ngrams.text_rank,
        ngrams.base_language,
        ngrams.first_position,
        ngrams.token_count,
        ngrams.phrase_key,
        coalesce(
            max(ngrams.first_position + ngrams.token_count) over earlier,
            0
        ) as covered_until
    from ngrams
    inner join phrase_keys
        on
            ngrams.base_language = phrase_keys.language
            and ngrams.phrase_key = phrase_keys.phrase_key
    window
        earlier as (
            partition by
                ngrams.dataset,
                ngrams.example_id,
                ngrams.language,
                ngrams.text_kind,
                ngrams.text_rank
            order by
                ngrams.first_position asc,
                ngrams.token_count desc
            rows between unbounded preceding and 1 preceding
        )
),

matches as (
    -- In this order an earlier span that reaches as far as this one contains it.
    select
        spans.dataset,
        spans.example_id,
        spans.language,
        spans.text_kind,
        spans.text_rank,
        lexicon_phrases.concept,
        lexicon_phrases.category,
        spans.base_language,
        lexicon_phrases.phrase
    from spans
    inner join lexicon_phrases
        on
            spans.base_language = lexicon_phrases.language
            and spans.phrase_key = lexicon_phrases.phrase_key
    where spans.covered_until < spans.first_position + spans.token_count
),

counted as (
    select
        matches.dataset,
        matches.example_id,
        matches.language,
        matches.text_kind,
        matches.text_rank,
        matches.concept,
        matches.category,
        matches.base_language,
        count(*) as match_count,
        min((length(matches.phrase), matches.phrase)) as best
    from matches
    group by
        matches.dataset,
        matches.example_id,
        matches.language,
        matches.text_kind,
        matches.text_rank,
        matches.concept,
        matches.category,
        matches.base_language
)

select
    counted.dataset,
    counted.example_id,
    counted.language,
    counted.text_kind,
    counted.text_rank,
    counted.concept,
    counted.category,
    counted.base_language,
    counted.match_count,
    counted.best[2] as phrase
from counted;
