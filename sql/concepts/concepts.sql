-- view:    concepts
-- grain:   one row per (concept, category)
-- key:     concept, category
-- reads:   example_concepts, lexicon
-- purpose: Every concept that can be found, and in how many examples it was.
--
-- column          type    unit   meaning
-- concept, category
-- phrase_count    bigint  count  phrases in the lexicon, without forms; 0 for people
-- language_count  bigint  count  languages of these phrases
-- example_count   bigint  count  examples that show it, duplicates included
with

in_lexicon as (
    select
        concept, category,
        count(distinct language || ' ' || phrase) as phrase_count,
        count(distinct language) as language_count,
    from lexicon
    where rule is null
    group by all
),

shown as (
    select distinct dataset, example_id, concept, category,
    from example_concepts
),

in_examples as (
    select concept, category, count(*) as example_count,
    from shown
    group by all
)

select
    concept, category,
    coalesce(phrase_count, 0) as phrase_count,
    coalesce(language_count, 0) as language_count,
    coalesce(example_count, 0) as example_count,
from in_lexicon
full outer join in_examples using (concept, category);
