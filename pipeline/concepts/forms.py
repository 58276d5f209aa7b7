"""Inflected forms of the lexicon's phrases, so that a text's "кошками" names what "кошка" does.

``python -m pipeline.concepts.forms`` writes ``forms.parquet``: one row per language and phrase, its other
forms joined by ``|``; with languages named (``forms de ru``) it keeps the rest as it is. They
are generated once and shipped, so that matching stays a lookup of tokens in SQL and a reader can see which
word was taken for which.

A form of a phrase is a word whose lemma, in the word lists of ``simplemma`` (MIT; it names the sources of its
lists), is the phrase: "wolves" of "wolf". A phrase that is itself a form ("glasses") gets none, since "glass"
is something else. In a phrase of several words each may be in any of its forms, in English the last one. Where
lists have no entry, mostly names, regular endings are added (`_ENDINGS`), and the particles that a script
writes as part of the word (`_BEFORE`, `_AFTER`). A form is left out if

- it is a phrase of the lexicon, or one that names no concept, or a form of two phrases that name different
  things;
- it has another first letter than the phrase (accents aside): such entries of the lists are mostly wrong;
- it has fewer than three letters.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.concepts.everyday import iter_everyday
from pipeline.concepts.lexicon import COLUMNS, load_lexicon
from pipeline.concepts.rules import read_rules

if TYPE_CHECKING:
    import pyarrow as pa

FORMS = Path(__file__).with_name("forms.parquet")

LANGUAGES = (
    "en",
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "nl",
    "ru",
    "tr",
    "id",
    "ar",
    "ko",
    "pl",
    "uk",
    "cs",
    "he",
    "sv",
    "da",
    "fi",
    "hu",
    "ro",
    "bg",
    "el",
)
"""Languages whose forms ship."""

_LISTS = {"hr": "hbs", "no": "nb"}
"""Languages whose list has another name."""

_UNSPACED = frozenset({"ja", "zh", "th"})
_MAX_COMBINATIONS = 40
_MAX_TOKENS = 3

_BEFORE = {
    "ar": "ال و ب وال بال لل",
    "he": "ה ו ב ל מ ש כ וה שה מה",
}
"""Articles, prepositions and conjunctions that are written as the beginning of a word."""

_AFTER = {
    "ko": "은 는 이 가 을 를 의 에 에서 로 으로 와 과 도 들 들이 들의",
}
"""Particles that are written as the end of a word."""

_ENDINGS = {
    "en": [(r"(s|x|z|ch|sh)$", r"\1es"), (r"([^aeiou])y$", r"\1ies"), (r"([^sxz])$", r"\1s")],
    "de": [(r"([^sxzß])$", r"\1s")],
    "ru": [
        (r"ый$", "ая ое ые ого ой ому ым ом ых ыми ую"),
        (r"ий$", "ая ое ие ого ой ому им ом их ими ую"),
        (r"([бвгджзклмнпрстфхцчшщ])$", r"\1а \1у \1ом \1е"),
        (r"ия$", "ии ию ией"),
        (r"([^иьъ])я$", r"\1и \1ю \1ей \1е"),
        (r"([гкхжчшщ])а$", r"\1и \1у \1ой \1е"),
        (r"([бвдзлмнпрстфц])а$", r"\1ы \1у \1ой \1е"),
        (r"ь$", "я и ю ем ью е"),
        (r"й$", "я ю ем е"),
    ],
    "uk": [
        (r"([бвгджзклмнпрстфхцчшщ])$", r"\1а \1у \1ом \1і"),
        (r"ія$", "ії ію ією"),
        (r"([бвдзлмнпрстфцгкхжчш])а$", r"\1и \1у \1ою \1і"),
    ],
    "pl": [
        (r"([bcdfghklmnprstwz])$", r"\1a \1u \1em \1ie"),
        (r"ia$", "ii ię ią"),
        (r"([bdfklmnprstwz])a$", r"\1y \1ę \1ą \1ie"),
    ],
    "cs": [
        (r"([bcdfghklmnprstvz])$", r"\1u \1em \1ě"),
        (r"([bdfklmnprstvz])a$", r"\1y \1u \1ou \1ě"),
    ],
    "ar": [(r"ة$", "ات")],
}
"""Regular endings, by language, for words that the lists do not have: a pattern, and what replaces it."""

_HIGH = {
    **dict.fromkeys("aıâ", "ı"),
    **dict.fromkeys("ei", "i"),
    **dict.fromkeys("ou", "u"),
    **dict.fromkeys("öü", "ü"),
}
"""Turkish: the high vowel that follows a vowel."""


def write_forms(languages: Iterable[str], path: Path = FORMS) -> int:
    """Write the forms of the shipped lexicon in these languages anew. Returns the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = set(languages)
    rows = [(language, *rest) for language, *rest in build_forms(made)]
    if path.exists():
        known = pq.read_table(path).to_pylist()
        rows += [tuple(row.values()) for row in known if row["language"] not in made]
    names = ("language", "phrase", "forms")
    columns = dict(zip(names, map(list, zip(*sorted(rows), strict=True)), strict=True))
    table = pa.table(columns, pa.schema([(name, pa.string()) for name in names]))
    pq.write_table(table, path, compression="zstd", compression_level=19)
    return len(rows)


def build_forms(languages: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Language, phrase and its forms, lower-case and sorted, of these languages."""
    named: defaultdict[str, defaultdict[str, set[tuple[str, str]]]] = defaultdict(
        lambda: defaultdict(set)
    )
    for concept, category, language, phrase in zip(*load_terms().to_pydict().values(), strict=True):
        named[language][phrase].add((concept, category))
    nothing: defaultdict[str, set[str]] = defaultdict(set)
    for row in read_rules():
        if row["rule"] == "no concept":
            nothing[row["language"]].add(fold(row["phrase"]))
    for language in sorted(set(languages)):
        phrases = {
            phrase: inflect(language, phrase)
            for phrase in sorted(named[language])
            if language not in _UNSPACED
        }
        taken = {fold(phrase) for phrase in named[language]} | nothing[language]
        owners = defaultdict(set)
        for phrase, forms in phrases.items():
            for form in forms:
                owners[form].add(frozenset(named[language][phrase]))
        for phrase, forms in phrases.items():
            kept = sorted(form for form in forms if form not in taken and len(owners[form]) == 1)
            if kept:
                yield language, phrase, "|".join(kept)


def load_terms() -> pa.Table:
    """Concept, category, language and phrase: the lexicon's and the everyday ones, each once, sorted."""
    import pyarrow as pa

    everyday = (pa.array(column, pa.string()) for column in zip(*iter_everyday(), strict=True))
    both = pa.concat_tables([load_lexicon(), pa.table([*everyday], names=COLUMNS)])
    once = both.group_by(COLUMNS).aggregate([])
    return once.sort_by([(name, "ascending") for name in COLUMNS])


def inflect(language: str, phrase: str) -> set[str]:
    """Other forms of a phrase: lower-case, with single spaces."""
    tokens = re.findall(r"[^\W_]+", fold(phrase))
    if not tokens or len(tokens) > _MAX_TOKENS or re.search(r"\d", phrase):
        return set()
    if len(tokens) == 1:
        variants = [_forms_of(language, tokens[0])]
    elif language == "en":
        variants = [*({token} for token in tokens[:-1]), _forms_of(language, tokens[-1])]
    elif language == "ar":
        variants = [{token, _article(token)} for token in tokens]
    else:
        variants = [{token} | _relatives_of(language, token) for token in tokens]
    if len(tokens) > 1 and prod(map(len, variants)) > _MAX_COMBINATIONS:
        return set()
    forms = {" ".join(parts) for parts in product(*variants)}
    plain = " ".join(tokens)
    forms |= {before + form for form in {*forms, plain} for before in _before(language, form)}
    forms |= {plain + after for after in _AFTER.get(language, "").split()}
    return forms - {plain}


def _before(language: str, form: str) -> list[str]:
    """What may stand before a form in the same word; nothing twice."""
    listed = _BEFORE.get(language, "").split()
    return [one for one in listed if language != "ar" or not (form[:2] == "ال" and "ل" in one)]


def fold(text: str) -> str:
    """As the macro ``tokenise`` folds it: lower-case NFC, "ё" as "е", Arabic alefs as one."""
    text = unicodedata.normalize("NFC", text.replace("İ", "i")).lower()
    return text.translate(_FOLDED)


_FOLDED = str.maketrans({"ё": "е", "أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ـ": None})


def _forms_of(language: str, token: str) -> set[str]:
    """Words whose lemma is the token; if the list knows none, regular endings."""
    lemmas, words = _list_of(language)
    if token not in lemmas.get(token, (token,)):
        return set()
    found = {word for word in words.get(token, ()) if _is_likely(word, token)}
    if language == "en":  # of nouns: the list has verbs' too, and "bear" would find "born"
        found = {
            word
            for word in found
            if re.search(r"s$|men$|^(children|geese|mice|teeth|feet|oxen)$", word)
        }
    if language == "ar":  # of nouns, without the article
        found = {word for word in found if not re.search(r"^ال|([تن]|وا|تا|ا)$", word)}
    if language == "tr":  # the list has verbs above all
        return found | _turkish(token)
    return found or _regular(language, token)


def _relatives_of(language: str, token: str) -> set[str]:
    """Words with the token's lemma."""
    lemmas, words = _list_of(language)
    of_lemmas = {word for lemma in lemmas.get(token, (token,)) for word in words.get(lemma, ())}
    found = {word for word in of_lemmas if _is_likely(word, token)}
    return found or _regular(language, token)


def _regular(language: str, token: str) -> set[str]:
    for pattern, ending in _ENDINGS.get(language, ()):
        if len(token) > 3 and re.search(pattern, token):
            return {re.sub(pattern, one, token) for one in ending.split()}
    return set()


def _turkish(token: str) -> set[str]:
    """Plural, cases, possessive and "with": by vowel harmony."""
    vowels = [char for char in token if char in _HIGH]
    if not vowels:
        return set()
    low = "a" if vowels[-1] in "aıouâ" else "e"
    high = _HIGH[vowels[-1]]
    plural_high = "ı" if low == "a" else "i"
    ends = token[-1] in _HIGH
    soft = token[:-1] + {"k": "ğ", "p": "b", "t": "d", "ç": "c"}.get(token[-1], token[-1])
    return {
        token + ending
        for ending in (
            *(f"l{low}r", f"l{low}r{plural_high}", f"l{low}r{plural_high}n", f"l{low}rd{low}"),
            *(f"l{high}", f"d{low}", f"d{low}n", f"d{low}ki"),
            *((f"s{high}", f"n{high}n", f"y{high}") if ends else (high, f"{high}n", low)),
        )
    } | ({soft + high, f"{soft}{high}n", soft + low} if soft != token else set())


def _is_likely(word: str, token: str) -> bool:
    return len(word) > 2 and word != token and _plain(word)[:1] == _plain(token)[:1]


def _plain(word: str) -> str:
    return "".join(
        char for char in unicodedata.normalize("NFD", word) if not unicodedata.combining(char)
    )


def _article(token: str) -> str:
    return token if token.startswith("ال") else f"ال{token}"


@cache
def _list_of(language: str) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Lemmas by word, and words by lemma, of one of the lists; empty if there is none."""
    from simplemma.strategies.dictionaries import DefaultDictionaryFactory

    lemmas: defaultdict[str, set[str]] = defaultdict(set)
    words: defaultdict[str, set[str]] = defaultdict(set)
    try:
        listed = DefaultDictionaryFactory().get_dictionary(_LISTS.get(language, language))
    except ValueError:
        return {}, {}
    for word, lemma in listed.items():
        if word.isalpha():
            lemmas[fold(word)].add(fold(lemma))
            words[fold(lemma)].add(fold(word))
    return dict(lemmas), dict(words)


if __name__ == "__main__":
    sys.stdout.write(f"{FORMS.name}: {write_forms(sys.argv[1:] or LANGUAGES):,} rows\n")
