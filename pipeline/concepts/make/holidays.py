"""Holidays, by the translations that the package ``holidays`` ships for each country.

A country's list is written in a language of its own, whose catalog of translations is empty; the
others, English among them, translate its entries.
"""

from __future__ import annotations

import gettext
import io
import re
from collections import defaultdict
from collections.abc import Iterator

from pipeline.concepts.make.cldr import language_of
from pipeline.concepts.make.packages import Archive
from pipeline.concepts.make.terms import Term, pairs, without_brackets

_CONCEPTS = pairs(
    """
    Christmas Day = Christmas; Christmas = Christmas; Christmas Eve = Christmas; Easter = Easter;
    Easter Sunday = Easter; Easter Monday = Easter; New Year's Day = New Year;
    New Year's Eve = New Year; New Year = New Year; Eid al-Fitr = Ramadan; Ramadan = Ramadan;
    First Day of Ramadan = Ramadan; Independence Day = Independence Day;
    Chinese New Year = Chinese New Year; Lunar New Year = Chinese New Year;
    Chinese New Year's Eve = Chinese New Year; Diwali = Diwali; Deepavali = Diwali; Holi = Holi;
    Thanksgiving Day = Thanksgiving; Thanksgiving = Thanksgiving; Carnival = Carnival;
    Carnival Monday = Carnival; Carnival Tuesday = Carnival; Shrove Tuesday = Carnival;
    All Souls' Day = Day of the Dead; Day of the Dead = Day of the Dead;
    Saint Patrick's Day = St. Patrick's Day; Valentine's Day = Valentine's Day;
    Pesach = Passover; Passover = Passover; Hanukkah = Hanukkah; Halloween = Halloween
    """
)
"""English names that are concepts of the lexicon, and which."""

_AMBIGUOUS = {"一月一日", "عيد الفصح"}
"""A date; Easter and Passover."""


def iter_holidays(holidays: Archive) -> Iterator[Term]:
    """What each language calls them."""
    catalogs: defaultdict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for path in holidays.names("holidays/locale/", ".mo"):
        _, _, language, _, country = path.split("/")
        catalogs[country][language.replace("_", "-")] = _read(holidays.read(path))
    for by_language in catalogs.values():
        english = by_language.get("en-US", {})
        for entry, name in english.items():
            concept = _CONCEPTS.get(name, "")
            for language, catalog in by_language.items():
                text = catalog.get(entry, "") if catalog else entry
                phrase = without_brackets(text)
                if not re.search(r"[\d%]", phrase) and phrase not in _AMBIGUOUS:
                    yield Term(concept, "holiday", language_of(language), phrase, "holidays")


def _read(data: bytes) -> dict[str, str]:
    """Translations by entry."""
    with io.BytesIO(data) as file:
        found = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]  # no public name
    return {key: text for key, text in found.items() if key and isinstance(key, str)}
