-- view:    example_concepts
-- grain:   one row per (dataset, example_id, concept, category, origin)
-- key:     dataset, example_id, concept, category, origin
-- reads:   text_concepts, title_people
-- purpose: What each example shows, as its texts say, with the words that say so.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030 (families of concepts)
--
-- column             type     unit      meaning
-- dataset            varchar            name of the dataset
-- example_id         bigint   id        shard ordinal x 2^20 + position in the shard
-- concept            varchar            English name of the concept; a person's title
-- category           varchar            family that it belongs to
-- origin             varchar            texts: a phrase of theirs; page_title: a person
-- text_count         bigint   count     texts that say so
-- language_count     bigint   count     languages in which they say so
-- evidence           varchar            shortest such phrase, then first by name
-- evidence_language  varchar  BCP 47    its language
with

text_concepts as (
    select
        text_concepts.dataset,
        text_concepts.example_id,
        text_concepts.concept,
        text_concepts.category,
        text_concepts.base_language,
        text_concepts.phrase
    from text_concepts
),

title_people as (
    select
        title_people.dataset,
        title_people.example_id,
        title_people.concept,
        title_people.language,
        title_people.language_count,
        title_people.text_count,
        title_people.evidence
    from title_people
),

named_in_texts as (
    select
        text_concepts.dataset,
        text_concepts.example_id,
        text_concepts.concept,
        text_concepts.category,
        count(*) as text_count,
        count(distinct text_concepts.base_language) as language_count,
        min(
            (
                length(text_concepts.phrase),
                text_concepts.phrase,
                text_concepts.base_language
            )
        ) as best
    from text_concepts
    group by
        text_concepts.dataset,
        text_concepts.example_id,
        text_concepts.concept,
        text_concepts.category
),

named as (
    select
        named_in_texts.dataset,
        named_in_texts.example_id,
        named_in_texts.concept,
        named_in_texts.category,
        'texts' as origin,
        named_in_texts.text_count,
        named_in_texts.language_count,
        named_in_texts.best[2] as evidence,
        named_in_texts.best[3] as evidence_language
    from named_in_texts
    union all
    select
        title_people.dataset,
        title_people.example_id,
        title_people.concept,
        'person' as category,
        'page_title' as origin,
        title_people.text_count,
        title_people.language_count,
        title_people.evidence,
        title_people.language as evidence_language
    from title_people
)

select
    named.dataset,
    named.example_id,
    named.concept,
    named.category,
    named.origin,
    named.text_count,
    named.language_count,
    named.evidence,
    named.evidence_language
from named;
