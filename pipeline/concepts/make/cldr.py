"""What Unicode CLDR says, by locale: names of territories, languages, cities, months, emoji, numbers.

A locale of CLDR is a language, maybe with a script or a country: ``zh-Hant``, ``de-AT``. The
lexicon has base languages only, as the SQL macro ``base_language`` gives them for texts, so what
the locales of one language say is put together. What a locale only inherits from the root of
CLDR (codes, English abbreviations) is not its word, and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple
from xml.etree import ElementTree

from pipeline.concepts.make.packages import Archive

_FOLDED = {"nb": "no", "nn": "no"}


class EmojiName(NamedTuple):
    """What a locale calls an emoji."""

    name: str
    """The short name that is read aloud, or nothing."""
    keywords: tuple[str, ...]


class Cldr:
    """The packages of CLDR.

    Args:
        archives: By the keys of ``packages.PACKAGES``.
    """

    def __init__(self, archives: Mapping[str, Archive]) -> None:
        self._archives = archives

    @cached_property
    def locales(self) -> list[str]:
        """Every locale that has names of its own, sorted."""
        names = self._archives["names"].names("package/main/", "/territories.json")
        dates = self._archives["dates"].names("package/main/", "/ca-gregorian.json")
        found = {name.split("/")[2] for name in (*names, *dates)}
        return sorted(found - {"und"})

    @cached_property
    def annotated(self) -> list[str]:
        """Every locale that names emoji, sorted."""
        paths = self._archives["annotations"].names("package/annotations/", "annotations.json")
        return sorted({path.split("/")[2] for path in paths} - {"und"})

    def is_thorough(self, locale: str) -> bool:
        """Whether CLDR holds the locale for well covered: what it does not name is as in English."""
        levels = self._archives["core"].json("package/coverageLevels.json")
        return levels["effectiveCoverageLevels"].get(locale) in ("modern", "moderate")

    def numbers(self) -> dict[str, str]:
        """The three digits of ISO 3166-1 of each territory, by its two letters; former ones share them."""
        data = self._archives["core"].json("package/supplemental/codeMappings.json")
        codes = data["supplemental"]["codeMappings"].items()
        return {
            code: names["_numeric"]
            for code, names in codes
            if len(code) == 2 and "_numeric" in names
        }

    def territories(self, locale: str) -> dict[str, str]:
        """Names by code, as ``FR``, ``150`` and ``GB-alt-short``."""
        names = self._names("territories", locale)
        return {code: name for code, name in names.items() if name != code.split("-")[0]}

    def languages(self, locale: str) -> dict[str, str]:
        """Names by code."""
        names = self._names("languages", locale)
        return {code: name for code, name in names.items() if name != code}

    def cities(self, locale: str) -> dict[str, str]:
        """Names of the cities that stand for time zones, by zone, as ``Europe/Berlin``.

        ``und`` gives the root's: where it has none, the zone's own name is the city's.
        """
        found = self._main("dates", locale, "timeZoneNames").get("dates", {})
        zones = found.get("timeZoneNames", {}).get("zone", {})
        cities = {
            f"{area}/{place}": entry["exemplarCity"]
            for area, places in zones.items()
            for place, entry in places.items()
            if "exemplarCity" in entry
        }
        if locale == "und":
            return cities
        return {zone: city for zone, city in cities.items() if city != self._root_cities.get(zone)}

    @cached_property
    def zones(self) -> list[str]:
        """Every zone that some locale has a city for."""
        return sorted({zone for locale in self.locales for zone in self.cities(locale)})

    def months(self, locale: str) -> list[tuple[int, str]]:
        """Number 1 to 12 and full name, in the forms for a date and for a heading."""
        names = self._calendar(locale, "months")
        return [(int(key), name) for key, name in names if not re.fullmatch(r"M?\d\d", name)]

    def days(self, locale: str) -> list[tuple[str, str]]:
        """``sun`` to ``sat`` and full name, in both forms."""
        root = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}
        return [(key, name) for key, name in self._calendar(locale, "days") if name not in root]

    def emoji(self, locale: str) -> dict[str, EmojiName]:
        """By emoji, without variation selectors; those made of several included."""
        found = {}
        for key, folder in (("annotations", "annotations"), ("derived", "annotationsDerived")):
            data = self._archives[key].json(f"package/{folder}/{locale}/annotations.json")
            for text, entry in data.get(folder, {}).get("annotations", {}).items():
                name = " ".join(entry.get("tts", ()))
                found[text] = EmojiName(name, tuple(entry.get("default", ())))
        return found

    def joined(self, locale: str) -> str:
        """How two names are joined, as ``" und "``; empty if the locale does not say."""
        lists = self._main("misc", locale, "listPatterns").get("listPatterns", {})
        pattern = lists.get("listPattern-type-standard", {}).get("2", "")
        match = re.fullmatch(r"\{0\}(.+)\{1\}", pattern)
        return match[1] if match and match[1].strip(" ,") else ""

    def spellout(self, locale: str) -> dict[str, dict[int, str]]:
        """Rules of numbers in words, by the name of their set: text by the number they begin at."""
        data = self._archives["spellout"].json(f"package/rbnf/{locale}.json")
        sets = data.get("rbnf", {}).get("rbnf", {}).get("SpelloutRules", {})
        return {
            name: {int(rule[0]): rule[1] for rule in rules if len(rule) == 2 and rule[0].isdigit()}
            for name, rules in sets.items()
        }

    def subdivisions(self, locale: str) -> dict[str, str]:
        """Names of states and provinces by code, as ``cnbj``."""
        name = f"usr/share/unicode/cldr/common/subdivisions/{locale.replace('-', '_')}.xml"
        if name not in self._archives["subdivisions"].names(name):
            return {}
        tree = ElementTree.fromstring(self._archives["subdivisions"].read(name))
        found = tree.iterfind(".//subdivision")
        return {node.attrib["type"]: node.text or "" for node in found}

    @cached_property
    def subdivided(self) -> list[str]:
        """Every locale that names subdivisions, sorted."""
        paths = self._archives["subdivisions"].names(
            "usr/share/unicode/cldr/common/subdivisions/", ".xml"
        )
        names = {path.rpartition("/")[2].removesuffix(".xml").replace("_", "-") for path in paths}
        return sorted(names - {"root"})

    @cached_property
    def _root_cities(self) -> dict[str, str]:
        return self.cities("und")

    def _calendar(self, locale: str, what: str) -> list[tuple[str, str]]:
        found = self._main("dates", locale, "ca-gregorian").get("dates", {})
        names = found.get("calendars", {}).get("gregorian", {}).get(what, {})
        forms = (names.get(form, {}).get("wide", {}) for form in ("stand-alone", "format"))
        return [item for form in forms for item in form.items()]

    def _names(self, what: str, locale: str) -> dict[str, str]:
        found = self._main("names", locale, what).get("localeDisplayNames", {})
        return dict(found.get(what, {}))

    def _main(self, package: str, locale: str, file: str) -> dict[str, Any]:
        data = self._archives[package].json(f"package/main/{locale}/{file}.json")
        return dict(data.get("main", {}).get(locale, {}))


def language_of(locale: str) -> str:
    """The base language of a locale, as texts have it."""
    language = locale.split("-")[0]
    return _FOLDED.get(language, language)
