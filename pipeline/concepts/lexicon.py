"""The lexicon: which phrases, in which languages, name which concepts.

``python -m pipeline.concepts.lexicon`` writes ``lexicon.csv`` anew from public lists of names and
from our own words. One row is one (concept, category, language, phrase); a phrase may name several
concepts. The categories are the families of Goh et al. 2021 (doi:10.23915/distill.00030) and, for
what these leave out, animal, food, nature, body, object, place, activity and symbol. People are not
here: a view finds them by the pages that say when someone was born or died.

Sources, all read from installed packages:

- Unicode CLDR through ``babel`` (Unicode License v3): names of territories and continents, of
  languages (they serve as demonyms), of the cities of time zones, of months and weekdays.
- Unicode CLDR short names of emoji through ``emoji`` (the package BSD-3-Clause, the names Unicode
  License v3), in its 14 languages; families by code point, below.
- ``terms.txt``: our own words, in English and, where we are sure, other languages.
"""

from __future__ import annotations

import csv
import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa
    from babel import Locale


def _words(text: str) -> list[str]:
    return text.split()


def _pairs(text: str, between: str) -> dict[str, str]:
    """``"a = b; c = d"`` as a dictionary."""
    entries = (" ".join(entry.split()).partition(between) for entry in text.split(";"))
    return {key: value for key, _, value in entries}


COLUMNS = ("concept", "category", "language", "phrase")

CATEGORIES = (
    *("region", "person", "emotion", "religion", "person_trait", "art_style", "image_feature"),
    *("holiday", "fictional_universe", "brand", "typographic", "abstract_concept", "counting"),
    *("time", "color", "animal", "food", "nature", "object", "place", "activity", "symbol"),
    "body",
)
"""Every category; ``person`` is filled by the views."""

LOCALES = {
    **{
        code: code for code in _words("en es fr de it pt nl pl ru uk ja ko ar fa he tr vi id sv cs")
    },
    **{code: code for code in _words("hu fi el hi th da ro ca bg hr bn")},
    "no": "nb",
    "zh": "zh_Hans",
    "zh-Hant": "zh_Hant",
}
"""Languages of the CLDR lists: the language of a phrase, and the locale that names it."""

CITY_LANGUAGES = frozenset(_words("en es fr de it pt nl pl ru ja zh ko ar"))
"""Languages of the cities' names: more would double the file for little text."""


class Term(NamedTuple):
    """One row of the lexicon."""

    concept: str
    category: str
    language: str
    phrase: str


@cache
def load_lexicon() -> pa.Table:
    """The packaged lexicon, sorted: concept, category, language and phrase, all strings."""
    import pyarrow as pa
    import pyarrow.csv

    strings = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()))
    data = (resources.files(__package__) / "lexicon.csv").read_bytes()
    return pyarrow.csv.read_csv(pa.BufferReader(data), convert_options=strings)


def build_lexicon() -> list[Term]:
    """The lexicon from its sources: sorted, without repetition, without junk."""
    terms = {
        term
        for term in (*iter_territories(), *iter_cities(), *iter_calendar(), *iter_emoji())
        if _is_worth_keeping(term)
    }
    return sorted({*terms, *iter_own_terms()})


def write_lexicon(path: Path) -> int:
    """Build the lexicon and write it as CSV. Returns the number of rows."""
    terms = build_lexicon()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(terms)
    return len(terms)


# --- our own words -----------------------------------------------------------------------------


def iter_own_terms() -> Iterator[Term]:
    """The words of ``terms.txt``."""
    category = ""
    for raw in _packaged("terms.txt").splitlines():
        line = raw.strip()
        if line.startswith("["):
            category = line.strip("[]")
        elif line and not line.startswith("#"):
            english, *others = line.split(";")
            phrases = [("en", english), *(part.split(":", 1) for part in others)]
            concept = english.split(" / ")[0].strip()
            for language, listed in phrases:
                for phrase in listed.split(" / "):
                    yield Term(concept, category, language.strip(), _nfc(phrase))


# --- CLDR: regions and calendar ----------------------------------------------------------------

_SKIPPED_TERRITORIES = {
    "EZ",
    "QO",
    "UN",
    "XA",
    "XB",
    "ZZ",
    "AC",
    "CP",
    "DG",
    "EA",
    "IC",
    "TA",
    "CQ",
}
_MACRO_REGIONS = (
    *("002", "003", "005", "009", "011", "013", "014", "015", "017", "018", "019", "021", "029"),
    *("030", "034", "035", "039", "053", "054", "057", "061", "142", "143", "145", "150", "151"),
    *("154", "155", "202", "419"),
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
_DEMONYM_LANGUAGES = _pairs(
    """
    sq AL; hy AM; az AZ; be BY; bn BD; bg BG; my MM; km KH; zh CN; hr HR; cs CZ; da DK; nl
    NL; et EE; fil PH; fi FI; fr FR; ka GE; de DE; el GR; hu HU; is IS; id ID; ga IE; it IT;
    ja JP; kk KZ; ko KR; ky KG; lo LA; lv LV; lt LT; mk MK; mt MT; mn MN; ne NP; no NO; pl
    PL; pt PT; ro RO; ru RU; sr RS; sk SK; sl SI; so SO; es ES; sv SE; tg TJ; th TH; tr TR;
    tk TM; uk UA; uz UZ; vi VN
    """,
    " ",
)


def iter_territories() -> Iterator[Term]:
    """Countries and continents by name, and countries by the name of their language."""
    english = _locale("en").territories
    known = [str(code) for code in english]
    codes = [code for code in known if len(code) == 2 and code not in _SKIPPED_TERRITORIES]
    for language, locale in _locales():
        for code in (*codes, *_MACRO_REGIONS):
            concept = _region(str(english.get(code, "")))
            for phrase in _without_brackets(str(locale.territories.get(code, ""))):
                yield Term(concept, "region", language, phrase)
            if language == "en":
                yield Term(concept, "region", language, concept)
        for code, territory in _DEMONYM_LANGUAGES.items():
            name = str(locale.languages.get(code, ""))
            yield Term(_region(str(english[territory])), "region", language, _nfc(name))


def iter_cities() -> Iterator[Term]:
    """Cities that stand for a time zone, unless they share the name of a country."""
    english = _locale("en")
    countries = {_region(str(name)) for name in english.territories.values()}
    places = ("Africa/", "America/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Pacific/")
    zones = {
        zone
        for language, locale in _locales()
        if language in CITY_LANGUAGES
        for zone in locale.time_zones
        if zone.startswith(places) and zone.count("/") == 1
    }
    for zone in sorted(zones):
        own = english.time_zones.get(zone, {}).get("city")
        concept = _nfc(str(own or zone.split("/")[1].replace("_", " ")))
        if concept in countries or concept in _AMBIGUOUS_CITIES:
            continue
        yield Term(concept, "region", "en", concept)
        for language, locale in _locales():
            if language in CITY_LANGUAGES:
                name = str(locale.time_zones.get(zone, {}).get("city", ""))
                for phrase in _without_brackets(name):
                    yield Term(concept, "region", language, phrase)


_AMBIGUOUS_CITIES = {"Center", "Nome", "Easter", "Unknown City", "Eastern", "Bougainville", "Troll"}
_AMBIGUOUS_MONTHS = {("en", "May"), ("en", "March"), ("vi", "tháng 1")}


def iter_calendar() -> Iterator[Term]:
    """Months and days of the week."""
    english = _locale("en")
    for language, locale in _locales():
        for form in ("stand-alone", "format"):
            for names, ours in (
                (locale.months[form]["wide"], english.months["stand-alone"]["wide"]),
                (locale.days[form]["wide"], english.days["stand-alone"]["wide"]),
            ):
                for number, name in names.items():
                    if (language, name) not in _AMBIGUOUS_MONTHS:
                        yield Term(str(ours[number]), "time", language, _nfc(str(name)))


# --- emoji -------------------------------------------------------------------------------------

_FAMILIES = {
    "animal": "1F400-1F43C 1F43F 1F54A 1F577 1F980-1F9A9 1F9AB-1F9AE 1FAB0-1FAB3 1FAB8 1FABC "
    "1FABF 1FACC-1FACF",
    "food": "2615 1F32D-1F330 1F336 1F33D 1F344-1F37B 1F37F 1F382 1F950-1F961 1F963-1F96F "
    "1F980 1F990 1F99E 1F9AA 1F9C0-1F9C2 1F9C4-1F9CB 1FAD0-1FAD5 1FAD8 1FADA-1FADD",
    "nature": "2600 2601 2604 2618 26C8 2744 1F300 1F301 1F308 1F30B 1F30C 1F315 1F319 1F320 "
    "1F32A 1F32B 1F331-1F335 1F337-1F33C 1F33E-1F344 1F490 1F4A7 1F525 1F940 1FA90 1FAA8 "
    "1FAB4-1FAB7 1FABB 1FABE 1FA8B",
    "place": "26E9 26EA 26F0 26F2 26FA 2668 1F306 1F30B 1F3AA 1F3A1 1F3A2 1F3D4-1F3DF 1F3E0 "
    "1F3E1 1F3E2-1F3ED 1F3EF 1F3F0 1F492 1F54B-1F54D 1F5FB-1F5FD 1F5FF 1F689 1F68F "
    "1F6D5 1F6D6 1F6D9 1F6E3 1F6E4",
    "activity": "26BD 26BE 26F7 26F8 1F3A3 1F3AD-1F3B1 1F3B3 1F3BE-1F3C0 1F3C2-1F3C4 1F3C7-1F3CC "
    "1F3CF-1F3D3 1F3F8 1F483 1F57A 1F6A3 1F6B4-1F6B6 1F938-1F93A 1F93C-1F93E 1F94B-1F94F "
    "1F9D7 1F9D8 1F386 1F933",
    "object": "231A 2328 23F0-23F2 2602 2603 260E 2692-2694 2696 2697 2699 26B0 26D3 26F4 26F5 "
    "26FD 2702 2708 2709 270F 1F374 1F37C 1F380 1F381 1F388 1F38E 1F390 1F392 1F393 1F396 "
    "1F399 1F39E 1F39F 1F3A0 1F3A4 1F3A5 1F3A7-1F3A9 1F3AB 1F3AC 1F3B2 1F3B5 1F3B7-1F3BD "
    "1F3C5 1F3C6 1F3CD 1F3CE 1F3EE 1F3F9 1F3FA 1F451-1F462 1F484 1F489 1F48A 1F48D 1F48E "
    "1F4A1 1F4A3 1F4B0 1F4B3 1F4BA-1F4BC 1F4BE 1F4C0 1F4C5 1F4CB-1F4D0 1F4D2 1F4D3 1F4DA "
    "1F4DC 1F4DE-1F4E0 1F4E2 1F4E3 1F4E6 1F4EE-1F4F1 1F4F7 1F4F9-1F4FD 1F4FF 1F50B 1F50C "
    "1F511 1F514 1F526-1F52A 1F52C-1F52E 1F56F 1F576 1F579 1F58A 1F58B 1F58C 1F58D 1F5A5 "
    "1F5A8 1F5B1 1F5BA 1F5DD 1F5DE 1F5E1 1F5FA 1F680-1F68E 1F690-1F693 1F695 1F697 "
    "1F699-1F69D 1F6A2 1F6A4 1F6A8 1F6AA 1F6AC 1F6B2 1F6BD 1F6BF 1F6C1 1F6CF 1F6D2 1F6D7 "
    "1F6DD-1F6DF 1F6E1 1F6E5 1F6F0 1F6F3-1F6FC 1F93F 1F941 1F944 1F947-1F94A 1F962 1F97B-1F97F "
    "1F9AF 1F9BC 1F9E2-1F9E6 1F9E8-1F9EB 1F9ED-1F9FE 1FA70-1FA74 1FA79-1FA7C 1FA80-1FA8A "
    "1FA8E 1FA8F 1FA91-1FA99 1FA9A-1FAA7 1FAA9 1FAAD 1FAAE 1FAD6 1FAD9",
    "person_trait": "1F466-1F469 1F46A 1F46E 1F474-1F478 1F482 1F575 1F930 1F934 1F9D2 1F9D3",
    "fictional_universe": "1F409 1F479-1F47B 1F47D 1F9B8 1F9B9 1F9CC 1F9D9-1F9DF 1F977 1F984",
    "symbol": "2622 2623 262E 262F 2648-2653 267B 267E 2693 269B 269C 2660 2663 2665 2666 26CE "
    "2764 2620 1F3C1 1F480 1F494 1F4A9 1F4AF 1F531 1F6D1 1F9FF 1FAAC",
    "religion": "2626 262A 2638 271D 2721 1F549 1F54B-1F54E 1F6D0 1F6D5 1FAAF",
    "body": "1F440-1F445 1F463 1F4AA 1F9B4-1F9B7 1F9E0 1FAC0 1FAC1",
    "holiday": "1F383-1F387 1F38B",
    "typographic": "A9 AE 2122 1F197 1F198 1F19A 1F520-1F524",
}
"""Emoji of one code point by family, as Unicode's own groups have it, without signs and buttons."""

_RELIGIONS = {
    **dict.fromkeys((0x26EA, 0x271D), "Christianity"),
    **dict.fromkeys((0x262A, 0x1F54B, 0x1F54C), "Islam"),
    **dict.fromkeys((0x2721, 0x1F54D, 0x1F54E), "Judaism"),
    **dict.fromkeys((0x1F549, 0x1F6D5), "Hinduism"),
    0x2626: "Orthodox Christianity",
    0x2638: "Buddhism",
    0x1FAAF: "Sikhism",
    0x26E9: "Shinto",
    0x1F6D0: "prayer",
}
_EMOTIONS = {
    "joy": "263A 1F600 1F601 1F603 1F604 1F60A 1F642 1F638 1F63A",
    "laughter": "1F602 1F605 1F606 1F923 1F639",
    "love": "1F60D 1F970 1F63B 1F491 1F48C",
    "kiss": "1F617 1F618 1F619 1F61A 1F48F",
    "sadness": "2639 1F614 1F61E 1F625 1F641 1F979",
    "crying": "1F622 1F62D 1F63F",
    "anger": "1F620 1F621 1F624 1F92C 1F63E 1F47F",
    "fear": "1F628 1F631 1F640",
    "surprise": "1F62E 1F62F 1F632",
    "disgust": "1F922 1F92E",
    "confusion": "1F615 1F616 1F635 1F974",
    "anxiety": "1F61F 1F630 1F627",
    "tiredness": "1F62A 1F62B 1F629 1F971",
    "calm": "1F60C",
    "shame": "1F633",
    "boredom": "1F610 1F611 1F612",
    "wink": "1F609",
    "coolness": "1F60E",
    "thinking": "1F914",
    "curiosity": "1F9D0",
    "sleep": "1F634",
    "shock": "1F92F",
    "sickness": "1F912 1F637 1F927",
    "pain": "1F915",
    "cold": "1F976",
    "heat": "1F975",
    "celebration": "1F973",
    "craziness": "1F61C 1F61D 1F92A",
    "silence": "1F910",
    "secrecy": "1F92B",
    "greed": "1F911",
    "lying": "1F925",
    "affection": "1F917",
    "desire": "1F924",
    "contempt": "1F644",
    "intelligence": "1F913",
    "innocence": "1F607",
    "mischief": "1F608",
}
_PROFESSIONS = (
    *("health worker", "judge", "pilot", "farmer", "cook", "student", "singer", "artist"),
    *("teacher", "factory worker", "technologist", "office worker", "mechanic", "scientist"),
    *("astronaut", "firefighter", "detective", "construction worker", "police officer"),
)
_NAMES = _pairs(
    """
    hot beverage = coffee; ewe = sheep; honeybee = bee; automobile = car; soccer ball =
    football; american football = American football; ox = cattle; jack-o-lantern =
    Halloween; Christmas tree = Christmas; Santa Claus = Christmas; boy = man; girl = woman;
    old man = old person; old woman = old person; older person = old person; airplane =
    aircraft; bug = insect; person running = running; person biking = cycling; person
    swimming = swimming; person climbing = climbing; skier = skiing; skis = skiing; books =
    book; person golfing = golf; person rowing boat = rowing; person surfing = surfing;
    person walking = walking; woman dancing = dance; man dancing = dance; person fencing =
    fencing; person juggling = juggling; person lifting weights = weightlifting; people
    wrestling = wrestling; person mountain biking = cycling; person playing handball =
    handball; person playing water polo = water polo; person in lotus position = yoga;
    person cartwheeling = gymnastics; T-Rex = dinosaur; sauropod = dinosaur; turkey = turkey
    bird; x-ray = X-ray; red heart = heart; heart suit = heart
    """,
    " = ",
)
"""Concepts whose plain name is not the emoji's."""


def iter_emoji() -> Iterator[Term]:
    """Animals, food, things and the rest, by the names of their emoji."""
    import emoji

    emoji.config.load_language()
    families = {
        point: sorted(name for name, ranges in _FAMILIES.items() if point in _points(ranges))
        for ranges in _FAMILIES.values()
        for point in _points(ranges)
    }
    emotions = {
        point: concept for concept, points in _EMOTIONS.items() for point in _points(points)
    }
    for text, entry in emoji.EMOJI_DATA.items():
        is_damaged = "\N{VARIATION SELECTOR-16}" in text  # the package loses the Russian "й" there
        names = {
            language: _plain_emoji_name(str(entry[language]))
            for language in emoji.LANGUAGES
            if language in entry and not (is_damaged and language == "ru")
        }
        point = ord(text[0])
        if entry["status"] != emoji.STATUS["fully_qualified"]:
            continue
        if len(text.rstrip("\N{VARIATION SELECTOR-16}")) == 1:
            concepts = [(_emoji_concept(names["en"], point, f), f) for f in families.get(point, ())]
            if point in emotions:
                concepts.append((emotions[point], "emotion"))
        else:
            concepts = _profession(names["en"])
        for concept, category in concepts:
            for language, name in names.items():
                for phrase in _without_brackets(name):
                    yield Term(concept, category, language, phrase)
            if concept != names["en"] and category != "emotion":
                yield Term(concept, category, "en", concept)


def _emoji_concept(name: str, point: int, family: str) -> str:
    if family == "religion":
        return _RELIGIONS[point]
    if family == "animal":
        name = re.sub(r" face$|^spouting |^front-facing |^hatching |^two-hump ", "", name)
    return _NAMES.get(name, name)


def _profession(name: str) -> list[tuple[str, str]]:
    bare = re.sub(r"^(man|woman) ", "", name)
    return [(bare, "person_trait")] if bare in _PROFESSIONS else []


def _plain_emoji_name(name: str) -> str:
    return _nfc(name.strip(":").replace("_", " "))


def _points(ranges: str) -> set[int]:
    """Code points of ``"1F400-1F402 1F54A"``."""
    points: set[int] = set()
    for item in ranges.split():
        first, _, last = item.partition("-")
        points.update(range(int(first, 16), int(last or first, 16) + 1))
    return points


# --- what is kept ------------------------------------------------------------------------------

_SYLLABIC = re.compile(
    "[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"
)  # Thai, Kana, Han, Hangul: two characters can be a word
_SINGLE = frozenset("猫狗兔狼狐鲸鯨蛇蛙鹰鷹鹅虎犬鹿")  # Han words that hardly occur inside others
_MAX_TOKENS = 12
_COMMON = {
    *(("en", word) for word in ("watch", "fly", "seal", "bat", "seat", "back", "may", "long")),
    *(("fr", word) for word in ("tour", "son", "car", "bus", "puits", "perle")),
    *(("es", word) for word in ("como", "para", "vino", "sobre")),
    *(("it", word) for word in ("sei", "sale", "sole")),
    *(("pt", word) for word in ("como", "para", "sobre")),
}
"""Phrases of the public lists that mean something else far more often."""


def _is_worth_keeping(term: Term) -> bool:
    """Whether a phrase of a public list would find more of its concept than of anything else."""
    letters = [char for char in term.phrase if unicodedata.category(char)[0] in "LM"]
    syllabic = sum(bool(_SYLLABIC.match(char)) for char in letters)
    if not term.concept or not letters:
        return False
    if syllabic == 1 and len(letters) == 1:
        return term.phrase in _SINGLE
    if not syllabic and len(letters) < 3:
        return False
    tokens = syllabic + len(re.findall(r"\w+", _SYLLABIC.sub(" ", term.phrase)))
    return tokens <= _MAX_TOKENS and (term.language, term.phrase.lower()) not in _COMMON


def _without_brackets(name: str) -> list[str]:
    """``Myanmar (Burma)`` names Myanmar and Burma; other notes in brackets name nothing."""
    name = _nfc(name.replace("（", "(").replace("）", ")"))
    match = re.fullmatch(r"(.+?)\s*\((.+)\)", name)
    if not match:
        return [_nfc(re.sub(r"\([^()]*\)", " ", name))]
    outer, inner = (_nfc(part) for part in match.groups())
    is_name = inner[:1].isupper() or bool(_SYLLABIC.match(inner))
    return [outer, inner] if is_name and outer in _TWO_NAMES else [outer]


_TWO_NAMES = frozenset(
    _words("Myanmar Мьянма М’янма Birmanie Mianmar Myanmar(Burma) ミャンマー 缅甸 緬甸 ميانمار")
)


def _region(name: str) -> str:
    return _CONCEPTS.get(name, _nfc(name))


def _nfc(text: str) -> str:
    """One spelling of a phrase: composed, single spaces, without Arabic vowel signs."""
    return re.sub("[\u064b-\u0652]", "", unicodedata.normalize("NFC", " ".join(text.split())))


def _locale(code: str) -> Locale:
    from babel import Locale

    return Locale.parse(code)


def _locales() -> Iterator[tuple[str, Any]]:
    """Every locale with the base language of its phrases; both scripts of Chinese are ``zh``."""
    for language, code in LOCALES.items():
        yield language.split("-")[0], _locale(code)


def _packaged(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    target = Path(__file__).with_name("lexicon.csv")
    sys.stdout.write(f"{target.name}: {write_lexicon(target):,} rows\n")
