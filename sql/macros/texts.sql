-- Functions of texts. Run before the views; not views themselves.

-- part_words(words): NFC, with a space around each Han, Hiragana, Katakana and Thai
-- character, because these scripts do not part words.
create or replace macro part_words(words) as
    case
        -- Asked first, because most texts have none and replacing costs more.
        when regexp_matches(words, '[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}ー]')
            then regexp_replace(
                nfc_normalize(words),
                '([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}ー])',
                ' \1 ',
                'g'
            )
        else nfc_normalize(words)
    end;

-- words_of(parted): tokens as they are written, of what part_words made. A character
-- that it parts is a token of its own; elsewhere a token is a maximal run of letters,
-- marks and digits (an apostrophe or hyphen parts two tokens).
create or replace macro words_of(parted) as
    regexp_extract_all(parted, '[\p{L}\p{M}\p{N}]+');

-- fold(words): lower-case, with what a script writes in two ways written in one: the
-- Cyrillic yo as ye, the Arabic alefs as the bare one.
create or replace macro fold(words) as
    case
        when regexp_matches(words, '[Ёёأإآٱ]')
            then translate(lower(words), 'ёأإآٱ', 'еاااا')
        else lower(words)
    end;

-- tokenise(words): folded tokens.
create or replace macro tokenise(words) as
    regexp_extract_all(fold(part_words(words)), '[\p{L}\p{M}\p{N}]+');

-- shapes_of(words): a letter for each of the tokens words_of: C begins with a capital,
-- L with a small letter, and n has neither (digits, scripts without capitals); X is all
-- capitals, of two letters at least; c and l have less than four characters.
create or replace macro shapes_of(words) as
    array_to_string(
        list_transform(
            words,
            lambda word: case
                when lower(word) = upper(word) then 'n'
                when length(word) > 1 and word = upper(word) then 'X'
                when left(word, 1) = lower(left(word, 1))
                    then if(length(word) < 4, 'l', 'L')
                else if(length(word) < 4, 'c', 'C')
            end
        ),
        ''
    );

-- breaks_of(parted): a sign for what stands before each of the tokens of what
-- part_words made: a dot where a sentence begins, a comma where other signs part it from
-- the token before, else a space (also for hyphens, apostrophes, the ampersand and the
-- middle dot).
create or replace macro breaks_of(parted) as
    '.' || array_to_string(
        list_transform(
            list_slice(string_split_regex(parted, '[\p{L}\p{M}\p{N}]+'), 2, -2),
            lambda between: case
                when between = ' ' then ' '
                when regexp_full_match(between, '[-\s''’‘&·‐‑]*') then ' '
                when regexp_matches(between, '[.!?:;|。！？•]') then '.'
                else ','
            end
        ),
        ''
    );

-- is_short_title(word): a title that is written short, with a dot that ends no sentence.
create or replace macro is_short_title(word) as
    regexp_full_match(word, 'mrs?|ms|dr|st|mt|ft|prof|sen|gov|gen|col|capt|lt|sgt|rev');

-- base_language(tag, unknown): the language part of a BCP 47 tag, as the lexicon has
-- it: 'zh-TW' and 'zh_Hant' are 'zh'; codes with another name are folded ('iw' is 'he',
-- 'tl' is 'fil', 'nb' and 'nn' are 'no', 'zh-yue' is 'yue', 'simple' is 'en'); an
-- empty, null or 'und' tag is the language given as unknown.
create or replace macro base_language(tag, unknown) as
    case split_part(replace(lower(coalesce(tag, '')), '_', '-'), '-', 1)
        when '' then unknown
        when 'und' then unknown
        when 'en' then 'en'
        when 'iw' then 'he'
        when 'in' then 'id'
        when 'ji' then 'yi'
        when 'jw' then 'jv'
        when 'mo' then 'ro'
        when 'tl' then 'fil'
        when 'sh' then 'sr'
        when 'nb' then 'no'
        when 'nn' then 'no'
        when 'zh'
            then if(replace(lower(tag), '_', '-') like 'zh-yue%', 'yue', 'zh')
        when 'cmn' then 'zh'
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
