"""Small numbers in words, by CLDR's rules of spelling them out."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.concepts.make.cldr import Cldr, language_of
from pipeline.concepts.make.terms import Term, pairs, spell

_CONCEPTS = {
    int(number): concept
    for number, concept in pairs(
        """
        0 = zero; 2 = two; 3 = three; 4 = four; 5 = five; 6 = six; 7 = seven; 8 = eight; 9 = nine;
        10 = ten; 11 = eleven; 12 = twelve; 20 = twenty; 30 = thirty; 40 = forty; 50 = fifty;
        100 = hundred; 1000 = thousand
        """
    ).items()
}
"""One is an article in too many languages."""

_SETS = ("%spellout-numbering", "%spellout-cardinal")
_RULES = frozenset("←→=<>[]#")
_AMBIGUOUS = pairs(
    """
    ca = nou set deu; et = kuus; fa = نه ده; fi = kuusi; fr = neuf; ga = trí; hi = सौ; hu = hat hét;
    it = sei; no = tre; ro = nouă; tr = yedi on yüz; ur = نو سو; vi = ba năm tám không
    """
)
"""Numbers that are as often another word: new, a week, a face."""


def iter_numbers(cldr: Cldr) -> Iterator[Term]:
    """Numbers that one word of a rule spells out."""
    for locale in cldr.locales:
        language = language_of(locale)
        for name, rules in cldr.spellout(locale).items():
            if name.startswith(_SETS) and "year" not in name:
                for number, concept in _CONCEPTS.items():
                    text = rules.get(number, "").rstrip(";").lstrip("'")
                    phrase = spell(text)
                    if (
                        not _RULES & set(text)
                        and phrase not in _AMBIGUOUS.get(language, "").split()
                    ):
                        yield Term(concept, "counting", language, phrase, "cldr")
