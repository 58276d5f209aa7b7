-- view:    geographic_words
-- grain:   one row per neuron and language of rendered words
-- key:     dataset, run_id, layer, unit, language
-- reads:   top_words
-- purpose: How many of the five words that excite a neuron most name a place.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030, on region neurons: all five
--          do for 64 of the 2,560 neurons of RN50x4, with words in English
--
-- A word names a place if the concept that it was drawn for is of the category region:
-- continents, countries, cities, and what belongs to them. Ranks are within a language.
-- A neuron that fewer than five words of it excite has the words that there are.
--
-- column            type     unit   meaning
-- dataset, model_id, run_id, layer, unit, language
-- word_count        bigint   count  the words that are asked about, five at most
-- geographic_count  bigint   count  of these, that name a place
-- is_geographic     boolean         five words, and all of them do
-- words             varchar         the words, the most exciting first
with

ranked as (
    select
        *,
        row_number() over (
            partition by dataset, run_id, layer, unit, language order by word_rank
        ) as language_rank,
    from top_words
)

select
    dataset, model_id, run_id, layer, unit, language,
    count(*) as word_count,
    count(*) filter (where category = 'region') as geographic_count,
    count(*) filter (where category = 'region') = 5 as is_geographic,
    string_agg(word, ', ' order by word_rank) as words,
from ranked
where language_rank <= 5
group by all;
