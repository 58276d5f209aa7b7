"""Months and days of the week."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.concepts.make.cldr import Cldr, language_of
from pipeline.concepts.make.terms import Term, spell

_AMBIGUOUS = {
    *{("en", "May"), ("en", "March"), ("vi", "tháng 1"), ("id", "Minggu")},
    *(("vi", f"Thứ {number}") for number in ("Hai", "Ba", "Tư", "Năm", "Sáu", "Bảy")),
}
"""Names that mean something else more often: a week, an ordinal number."""


def iter_calendar(cldr: Cldr) -> Iterator[Term]:
    """Months and days by their full names."""
    months = dict(cldr.months("en"))
    days = dict(cldr.days("en"))
    for locale in cldr.locales:
        language = language_of(locale)
        named = [(months[number], name) for number, name in cldr.months(locale)]
        named += [(days[key], name) for key, name in cldr.days(locale)]
        for concept, name in named:
            if (language, name) not in _AMBIGUOUS:
                yield Term(concept, "time", language, spell(name), "cldr")
