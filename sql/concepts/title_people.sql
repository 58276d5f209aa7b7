-- view:    title_people
-- grain:   one row per (dataset, example_id, concept)
-- key:     dataset, example_id, concept
-- reads:   stg_texts
-- purpose: People: titles of pages whose opening says that someone was born or died.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030 (person neurons)
--
-- No list of names. The opening (400 characters) of a page text must hold, in brackets
-- or after a verb, a word for birth or death with a year, or a bracketed span of 15 to
-- 110 years that opens the text. Caveats: a state or a company of that age can slip
-- through where the English, Spanish, French and German words for such things do not
-- give it away; titles of one person in two scripts are two concepts.
--
-- column          type      unit    meaning
-- dataset, example_id
-- concept         varchar           title of the page, as it came
-- language        varchar   BCP 47  language of the page, the first by name if several
-- language_count  bigint    count   languages whose page says so
-- languages       varchar[]         these, by name
-- text_count      bigint    count   page texts that say so
-- evidence        varchar           the words that say so, of that language
with

openings as (
    select *, left(nfc_normalize(text), 400) as opening,
    from stg_texts
    where text_kind = 'page' and trim(coalesce(page_title, '')) <> ''
),

evidence as (
    select
        *,
        regexp_extract(
            opening,
            '(?i)('
            -- en, and signs that many languages use
            || '[(;,]\s*(born|died|b\.|d\.)\s[^()]{0,50}\d{4}'
            || '|\bwas born\b[^.]{0,60}\d{4}'
            || '|[(;,]\s*[*†]\s?[^()]{0,40}\d{4}'
            -- es, pt
            || '|\s\(?(nacid[oa]|nació|falleció|nascid[oa]|nasceu|faleceu)\s'
            || '[^.]{0,60}\d{4}'
            -- fr
            || '|[\s(](née?|morte?)\s(le|en|à|vers)\s[^.]{0,60}\d{4}'
            -- de, nl, sv, da, no
            || '|[\s(](geboren|geb\.|gestorben|overleden|født|född|fødd)\s'
            || '[^()]{0,60}\d{4}'
            -- it
            || '|\((nat[oa]|mort[oa])\s[^()]{0,60}\d{4}'
            -- ru, uk
            || '|[\s(](род\.|родил(ся|ась)|умер(ла)?|нар\.|народи(вся|лася)|помер(ла)?)'
            || '\s[^()]{0,60}\d{4}'
            -- pl, cs
            || '|[\s(](ur\.|urodzon[ya]|zm\.|zmarła?|narozen[aá]?|zemřela?)'
            || '\s[^()]{0,60}\d{4}'
            -- tr, id, vi, fi, hu
            || '|\(\s*(d\.|doğum|lahir|sinh|s\.|született)\s[^()]{0,60}\d{4}'
            -- ja, zh, ko
            || '|\d{4}\s?年[^。]{0,30}(生まれ|出生|[-－–—〜～]\s*\d{4}\s?年)'
            || '|(生於|生于|出生於|出生于)\s?\d{4}'
            || '|\d{4}년[^()]{0,24}([~–-]|출생)'
            -- ar, fa, he
            || '|[\s(](ولد|وُلد|ولدت|مواليد|متولد|زاده|נולד|נולדה)\s[^.]{0,60}\d{4}'
            || ')',
            0
        ) as birth_or_death,
        regexp_extract(
            opening,
            '^[^()（）]{1,120}[(（]'
            || '([^()（）]{0,60}?\b(\d{4})[^()（）\d]{0,3}\s*[–—−-]'
            || '\s*[^()（）]{0,60}?\b(\d{4}))\b[^()（）]{0,20}[)）]([^.]{0,80})',
            ['span', 'from_year', 'to_year', 'then']
        ) as life,
    from openings
),

people as (
    select
        dataset, example_id, language,
        trim(page_title) as concept,
        coalesce(nullif(birth_or_death, ''), life.span) as evidence,
    from evidence
    where
        birth_or_death <> ''
        or (
            try_cast(life.to_year as integer)
            - try_cast(life.from_year as integer) between 15 and 110
            and not regexp_matches(
                life.then,
                '(?i)\b('
                || 'war|wars|state|country|empire|kingdom|republic|union|dynasty'
                || '|company|band|newspaper|magazine|series|ship|team|league|party'
                || '|guerra|estado|imperio|reino|empresa|revista|periódico|diario'
                || '|guerre|empire|royaume|entreprise|groupe|journal|revue'
                || '|krieg|staat|reich|republik|unternehmen|gruppe|zeitung'
                || ')\b'
            )
        )
)

select
    dataset, example_id, concept,
    min(language) as language,
    count(distinct language) as language_count,
    list_sort(list(distinct language)) as languages,
    count(*) as text_count,
    arg_min(people.evidence, (language, people.evidence)) as evidence,
from people
group by all;
