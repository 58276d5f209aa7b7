"""Countries, continents and cities, by what CLDR calls them.

A country is found by its name, by its short and its other names, and by the name of the language
that it is the country of ("Japanese"). A city is one that stands for a time zone, or one that is a
province or a state of its own ("Beijing").
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from pipeline.concepts.make.cldr import Cldr, language_of
from pipeline.concepts.make.terms import (
    Term,
    in_brackets,
    pairs,
    spell,
    without_brackets,
    words,
)

_NO_COUNTRIES = words("EZ QO UN XA XB ZZ AC CP DG EA IC TA CQ")
_MACRO_REGIONS = words(
    """
    002 003 005 009 011 013 014 015 017 018 019 021 029 030 034 035 039 053 054 057 061 142 143
    145 150 151 154 155 202 419
    """
)
_CONCEPTS = {
    "Cocos (Keeling) Islands": "Cocos Islands",
    "Congo - Kinshasa": "Democratic Republic of the Congo",
    "Congo - Brazzaville": "Republic of the Congo",
    "Hong Kong SAR China": "Hong Kong",
    "Macao SAR China": "Macao",
    "Myanmar (Burma)": "Myanmar",
    "Türkiye": "Turkey",
}
_COUNTRY_OF_LANGUAGE = pairs(
    """
    az = AZ; bg = BG; de = DE; es = ES; fi = FI; fr = FR; hr = HR; hu = HU; id = ID; is = IS; it
    = IT; lt = LT; lv = LV; mk = MK; mn = MN; mt = MT; nl = NL; pl = PL; pt = PT; ro = RO; ru =
    RU; sk = SK; so = SO; th = TH; tr = TR; uz = UZ; sq = AL; hy = AM; be = BY; bn = BD; my =
    MM; km = KH; zh = CN; cs = CZ; da = DK; et = EE; fil = PH; ka = GE; el = GR; ga = IE; ja =
    JP; kk = KZ; ko = KR; ky = KG; lo = LA; ne = NP; no = NO; sr = RS; sl = SI; sv = SE; tg =
    TJ; tk = TM; uk = UA; vi = VN
    """
)
_ZONES = (
    *("Africa/", "America/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/"),
)
_NO_CITIES = {"Center", "Nome", "Easter", "Unknown City", "Eastern", "Bougainville", "Troll"}
_CITY_PROVINCES = pairs(
    """
    cnbj = Beijing; cntj = Tianjin; cncq = Chongqing; deber = Berlin; dehh = Hamburg; dehb =
    Bremen; at9 = Vienna; jp13 = Tokyo; jp27 = Osaka; jp26 = Kyoto; jp34 = Hiroshima; jp42 =
    Nagasaki; kr26 = Busan; rumow = Moscow; ruspe = Saint Petersburg; tr06 = Ankara; tr34 =
    Istanbul; vnhn = Hanoi; indl = Delhi
    """
)
_CITY_CONCEPTS = pairs(
    """
    Aktau = Aqtau; Araguaína = Araguaina; Belém = Belem; Bogotá = Bogota; Büsingen = Busingen;
    Canaries = Canary; Canton Island = Kanton; Chatham Islands = Chatham; Chișinău = Chisinau;
    Cuiabá = Cuiaba; Córdoba = Cordoba; Eirunepé = Eirunepe; El Aaiún = El Aaiun; Faroes =
    Faroe; Galápagos = Galapagos; Galápagos Islands = Galapagos; Khovd = Hovd; Kwajalein Atoll =
    Kwajalein; Kyzylorda = Qyzylorda; Lomé = Lome; Maceió = Maceio; Marquesas Islands =
    Marquesas; Mazatlán = Mazatlan; Midway Atoll = Midway; Nouméa = Noumea; N’Djamena =
    Ndjamena; Pitcairn Islands = Pitcairn; Saint-Pierre = Miquelon; Santarém = Santarem; São
    Paulo = Sao Paulo; Ürümqi = Urumqi
    """
)
"""Concepts that keep the name they had before CLDR changed its own."""


def name_territories(cldr: Cldr) -> dict[str, str]:
    """The concepts of countries, by their two letters, and of continents, by their three digits."""
    return {
        code: _CONCEPTS.get(name, spell(name))
        for code, name in cldr.territories("en").items()
        if (len(code) == 2 and code not in _NO_COUNTRIES) or code in _MACRO_REGIONS
    }


def iter_territories(cldr: Cldr) -> Iterator[Term]:
    """Countries and continents by name, and countries by the name of their language."""
    concepts = name_territories(cldr)
    for concept in concepts.values():
        for phrase in _with_and(concept, " and "):
            yield Term(concept, "region", "en", phrase, "cldr")
    for locale in cldr.locales:
        language, joined = language_of(locale), cldr.joined(locale)
        for code, name in cldr.territories(locale).items():
            concept = concepts.get(code.split("-")[0], "")
            for named in _names_of(code, name):
                for phrase in _with_and(named, joined):
                    yield Term(concept, "region", language, phrase, "cldr")
        languages = cldr.languages(locale)
        for code, territory in _COUNTRY_OF_LANGUAGE.items():
            if code in languages:
                phrase = without_brackets(languages[code])
                yield Term(concepts[territory], "region", language, phrase, "cldr")


def iter_cities(cldr: Cldr) -> Iterator[Term]:
    """Cities that stand for a time zone, unless they share the name of a country; and provinces."""
    root = cldr.cities("und")
    english = root | cldr.cities("en")
    countries = {_CONCEPTS.get(name, spell(name)) for name in cldr.territories("en").values()}
    concepts = {}
    for zone in cldr.zones:
        name = spell(english.get(zone, zone.rpartition("/")[2].replace("_", " ")))
        concept = _CITY_CONCEPTS.get(name, name)
        is_city = zone.startswith(_ZONES) and zone.count("/") == 1
        if is_city and concept not in countries | _NO_CITIES:
            concepts[zone] = concept
            for phrase in (concept, name):
                yield Term(concept, "region", "en", spell(phrase), "cldr")
    for locale in cldr.locales:
        cities = cldr.cities(locale)
        as_in_english = cldr.is_thorough(locale) and _is_latin("".join(cities.values()))
        for zone, concept in concepts.items():
            shared = english.get(zone, concept) if as_in_english else ""
            phrase = without_brackets(cities.get(zone, shared))
            yield Term(concept, "region", language_of(locale), phrase, "cldr")
    for locale in cldr.subdivided:
        names = cldr.subdivisions(locale)
        for code, concept in _CITY_PROVINCES.items():
            phrase = without_brackets(names.get(code, ""))
            yield Term(concept, "region", language_of(locale), phrase, "cldr")


def _names_of(code: str, name: str) -> list[str]:
    """The names in one that CLDR gives: ``Myanmar (Burma)`` is two, ``Congo (DRC)`` is none."""
    if code == "MM":
        return [without_brackets(name), in_brackets(name)]
    if "(" in name and code.startswith(("CD-", "CG-")):
        return []
    return [without_brackets(name)]


def _with_and(name: str, joined: str) -> list[str]:
    """``Bosnia & Herzegovina`` with the word too, and the other way round; "St." as "Saint" too."""
    found = [name]
    if joined == " and " and name.startswith("St. "):
        found.append(name.replace("St. ", "Saint "))
    if " & " in name and joined:
        found += [spell(phrase.replace(" & ", joined)) for phrase in found]
    elif joined.startswith(" ") and joined.endswith(" ") and joined in name:
        found.append(name.replace(joined, " & "))
    return found


def _is_latin(text: str) -> bool:
    letters = [char for char in text if char.isalpha()]
    return (
        sum(unicodedata.name(char, "").startswith("LATIN") for char in letters) > len(letters) / 2
    )
