-- view:    named_concepts
-- grain:   one row per (dataset, example_id, concept, category, origin)
-- key:     dataset, example_id, concept, category, origin
-- reads:   text_concepts, title_people, stg_stated_concepts
-- purpose: What the texts that an example came with say that it shows.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030 (families of concepts)
--
-- Of each example by itself: a build reads the texts of new shards alone.
--
-- column             type      unit    meaning
-- dataset, example_id
-- concept            varchar           English name of the concept; a person's title
-- category
-- origin             varchar           texts: a phrase of theirs; page_title: a person;
--                                      stated: the image's source says so
-- text_count         bigint    count   texts that say so
-- language_count     bigint    count   languages in which they say so
-- languages          varchar[]         these, by name; und if its source states it
-- evidence           varchar           shortest such phrase, then first by name
-- evidence_language  varchar   BCP 47  its language
with

named_in_texts as (
    select
        dataset, example_id, concept, category,
        count(*) as text_count,
        list_sort(list(distinct base_language)) as languages,
        min((length(phrase), phrase, base_language)) as best,
    from text_concepts
    group by all
)

select
    dataset, example_id, concept, category,
    'texts' as origin,
    text_count,
    len(languages) as language_count,
    languages,
    best[2] as evidence,
    best[3] as evidence_language,
from named_in_texts
union all
select
    dataset, example_id, concept,
    'person' as category,
    'page_title' as origin,
    text_count, language_count, languages, evidence,
    language as evidence_language,
from title_people
union all
select
    dataset, example_id, concept, category,
    'stated' as origin,
    1 as text_count,
    1 as language_count,
    ['und'] as languages,
    concept as evidence,
    'und' as evidence_language,
from stg_stated_concepts;
