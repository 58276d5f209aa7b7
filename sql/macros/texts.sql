-- Functions of texts. Run before the views; not views themselves.
--
-- tokenise(words): lower-case NFC tokens. A Han, Hiragana, Katakana or Thai character
-- is a token of its own, because these scripts do not part words; elsewhere a token is
-- a maximal run of letters, marks and digits (an apostrophe or hyphen parts two
-- tokens).
create or replace macro tokenise(words) as
    regexp_extract_all(
        regexp_replace(
            lower(nfc_normalize(words)),
            '([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}ー])',
            ' \1 ',
            'g'
        ),
        '[\p{L}\p{M}\p{N}]+'
    );

-- base_language(tag, unknown): the language part of a BCP 47 tag, as the lexicon has
-- it: 'zh-TW' and 'zh_Hant' are 'zh'; old and regional codes are folded ('iw' is 'he',
-- 'nb' and 'nn' are 'no', 'in' is 'id', 'simple' is 'en'); an empty, null or 'und' tag
-- is the language given as unknown.
create or replace macro base_language(tag, unknown) as
    case split_part(replace(lower(coalesce(tag, '')), '_', '-'), '-', 1)
        when '' then unknown
        when 'und' then unknown
        when 'iw' then 'he'
        when 'in' then 'id'
        when 'nb' then 'no'
        when 'nn' then 'no'
        when 'simple' then 'en'
        else split_part(replace(lower(tag), '_', '-'), '-', 1)
    end;

-- text_place(text_kind, language, text_rank, text): the place of a text among those of
-- its image, smallest first: the first one is its primary text (view primary_texts).
-- pipeline/extract/plan.py has the same order, for text towers.
create or replace macro text_place(text_kind, language, text_rank, text) as
    (
        list_position(
            [
                'caption',
                'alt',
                'attribution',
                'page_title',
                'section_title',
                'section',
                'page'
            ],
            text_kind
        ),
        base_language(language, 'und') <> 'en',
        language <> 'und',
        language,
        text_rank,
        text
    );
