-- view:    lexicon_coverage
-- grain:   one row per (language, category)
-- key:     language, category
-- reads:   lexicon
-- purpose: How much of each family of concepts the lexicon can name in each language.
--
-- column                 type     unit    meaning
-- language               varchar  BCP 47  base language of the phrases
-- category               varchar          family of concepts
-- concept_count          bigint   count   concepts of the family that it names
-- english_concept_count  bigint   count   concepts that English names
-- covered_frac           double   0..1    share of the latter that it names too
-- phrase_count           bigint   count   its phrases
with

english as (
    select distinct concept, category,
    from lexicon
    where language = 'en' and rule is null
),

english_sizes as (
    select category, count(*) as english_concept_count,
    from english
    group by all
),

named as (
    select language, category, concept, count(*) as phrase_count,
    from lexicon
    where rule is null
    group by all
),

counted as (
    select
        named.language, named.category,
        count(*) as concept_count,
        count(english.concept) as covered_count,
        sum(named.phrase_count)::bigint as phrase_count,
    from named
    left join english using (concept, category)
    group by all
)

select
    language, category, concept_count,
    coalesce(english_concept_count, 0) as english_concept_count,
    covered_count / nullif(english_concept_count, 0) as covered_frac,
    phrase_count,
from counted
left join english_sizes using (category);
