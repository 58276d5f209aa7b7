-- view:    concepts
-- grain:   one row per (concept, category)
-- key:     concept, category
-- reads:   lexicon_phrases, example_concepts
-- purpose: Every concept that can be found, and in how many examples it was.
--
-- column          type     unit    meaning
-- concept         varchar          English name of the concept; a person's title
-- category        varchar          family that it belongs to
-- phrase_count    bigint   count   phrases in the lexicon; 0 for people, found by title
-- language_count  bigint   count   languages of these phrases
-- example_count   bigint   count   examples that show it, duplicates included
with

lexicon_phrases as (
    select
        lexicon_phrases.concept,
        lexicon_phrases.category,
        lexicon_phrases.language
    from lexicon_phrases
),

example_concepts as (
    select distinct
        example_concepts.dataset,
        example_concepts.example_id,
        example_concepts.concept,
        example_concepts.category
    from example_concepts
),

in_lexicon as (
    select
        lexicon_phrases.concept,
        lexicon_phrases.category,
        count(*) as phrase_count,
        count(distinct lexicon_phrases.language) as language_count
    from lexicon_phrases
    group by
        lexicon_phrases.concept,
        lexicon_phrases.category
),

in_examples as (
    select
        example_concepts.concept,
        example_concepts.category,
        count(*) as example_count
    from example_concepts
    group by
        example_concepts.concept,
        example_concepts.category
),

counted as (
    select
        coalesce(in_lexicon.concept, in_examples.concept) as concept,
        coalesce(in_lexicon.category, in_examples.category) as category,
        coalesce(in_lexicon.phrase_count, 0) as phrase_count,
        coalesce(in_lexicon.language_count, 0) as language_count,
        coalesce(in_examples.example_count, 0) as example_count
    from in_lexicon
    full outer join in_examples
        on
            in_lexicon.concept = in_examples.concept
            and in_lexicon.category = in_examples.category
)

select
    counted.concept,
    counted.category,
    counted.phrase_count,
    counted.language_count,
    counted.example_count
from counted;
