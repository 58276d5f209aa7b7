"""The making of the lexicon, on small packages as the registries' are made."""

import base64
import hashlib
import io
import json
import tarfile
import zipfile
from dataclasses import replace

import pytest

from pipeline.concepts.make.cldr import Cldr
from pipeline.concepts.make.holidays import iter_holidays
from pipeline.concepts.make.keep import is_worth_keeping
from pipeline.concepts.make.numbers import iter_numbers
from pipeline.concepts.make.packages import PACKAGES, Archive, SourceError, fetch
from pipeline.concepts.make.regions import iter_cities, iter_territories
from pipeline.concepts.make.shared_words import iter_shared_words
from pipeline.concepts.make.table import write_lexicon
from pipeline.concepts.make.terms import Term
from pipeline.concepts.make.wordnet import read_wordnet


def make_tar(files, mode="w:gz"):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def make_deb(files):
    """An ``ar`` of an odd first member and the files."""
    members = {"debian-binary": b"2.0", "data.tar.xz": make_tar(files, "w:xz")}
    out = b"!<arch>\n"
    for name, content in members.items():
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        out += head + content + b"\n" * (len(content) % 2)
    return out


def make_wheel(files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
    return data.getvalue()


@pytest.mark.parametrize("make", [make_tar, make_deb, make_wheel])
def test_a_package_of_each_registry_is_read(make):
    archive = Archive(make({"a/x.json": b'{"k": 1}', "a/y.txt": b"", "b": b""}))
    assert archive.json("a/x.json") == {"k": 1}
    assert archive.json("a/none.json") == {}
    assert archive.names("a/", ".json") == ["a/x.json"]


def test_a_file_that_is_not_the_pinned_one_is_refused(tmp_path):
    package = PACKAGES["spellout"]
    data = make_tar({})
    (tmp_path / package.file).write_bytes(data)
    with pytest.raises(SourceError, match=r"cldr-rbnf 48\.2\.0 as it was pinned.*SHA-512"):
        fetch(package, tmp_path)
    known = base64.b64encode(hashlib.sha512(data).digest()).decode()
    assert fetch(replace(package, sha512=known), tmp_path).names("") == []


def test_a_registry_that_does_not_answer_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="npm is not installed; it fetches cldr-rbnf"):
        fetch(PACKAGES["spellout"], tmp_path / "kept")


def main_file(locale, content):
    return json.dumps({"main": {locale: content}}).encode()


def cldr_of(**files):
    """CLDR with these files, by package and path."""
    return Cldr({key: Archive(make_tar(files.get(key, {}))) for key in PACKAGES})


def territories(**by_locale):
    return {
        f"package/main/{locale}/territories.json": main_file(
            locale, {"localeDisplayNames": {"territories": names}}
        )
        for locale, names in by_locale.items()
    }


def rows(terms):
    return {(t.concept, t.language, t.phrase) for t in terms if t.concept and t.phrase}


def test_names_of_a_country():
    english = {"BA": "Bosnia & Herzegovina", "LC": "St. Lucia", "MM": "Myanmar (Burma)"}
    english |= {"CD": "Congo - Kinshasa", "CD-alt-variant": "Congo (DRC)", "001": "world"}
    english |= {"HK": "Hong Kong SAR China", "HK-alt-short": "Hong Kong", "FR": "France"}
    german = {"BA": "Bosnien und Herzegowina", "FR": "FR"}
    lists = {"listPatterns": {"listPattern-type-standard": {"2": "{0} und {1}"}}}
    and_ = {"listPatterns": {"listPattern-type-standard": {"2": "{0} and {1}"}}}
    cldr = cldr_of(
        names=territories(en=english, de=german),
        misc={
            "package/main/de/listPatterns.json": main_file("de", lists),
            "package/main/en/listPatterns.json": main_file("en", and_),
        },
    )
    found = rows(iter_territories(cldr))
    bosnia = {phrase for concept, _, phrase in found if concept == "Bosnia & Herzegovina"}
    assert bosnia == {
        "Bosnia & Herzegovina",
        "Bosnia and Herzegovina",
        "Bosnien & Herzegowina",
        "Bosnien und Herzegowina",
    }
    assert ("St. Lucia", "en", "Saint Lucia") in found
    assert ("Myanmar", "en", "Burma") in found
    assert ("Hong Kong", "en", "Hong Kong") in found
    assert not {"Congo", "world", "FR"} & {phrase for _, _, phrase in found}


def test_a_city_that_a_language_does_not_rename_is_called_as_in_english():
    def zones(**cities):
        named = {name.replace("_", " "): {"exemplarCity": city} for name, city in cities.items()}
        return {"dates": {"timeZoneNames": {"zone": {"Europe": named}}}}

    levels = {"effectiveCoverageLevels": {"de": "modern", "xx": "basic", "ru": "modern"}}
    files = {
        "de": zones(Paris="Paris", Vienna="Wien"),
        "ru": zones(Berlin="Берлин"),
        "fr": zones(Berlin="Berlin"),
        "xx": zones(Vienna="Viena"),
    }
    cldr = cldr_of(
        names=territories(en={"FR": "France"}, **{locale: {} for locale in files}),
        core={"package/coverageLevels.json": json.dumps(levels).encode()},
        dates={
            f"package/main/{locale}/timeZoneNames.json": main_file(locale, content)
            for locale, content in files.items()
        },
    )
    found = rows(iter_cities(cldr))
    assert {("Vienna", "de", "Wien"), ("Berlin", "de", "Berlin"), ("Paris", "de", "Paris")} <= found
    assert {one for one in found if one[1] == "xx"} == {("Vienna", "xx", "Viena")}
    assert {one for one in found if one[1] == "ru"} == {("Berlin", "ru", "Берлин")}


def test_numbers_are_those_that_a_rule_spells_out():
    rules = [["0", "null;"], ["1", "eins;"], ["13", "→→zehn;"], ["8", "acht;"], ["12", "zwölf;"]]
    sets = {"%spellout-numbering": rules, "%spellout-numbering-year": [["9", "jahr;"]]}
    content = json.dumps({"rbnf": {"rbnf": {"SpelloutRules": sets}}}).encode()
    cldr = cldr_of(names=territories(de={}), spellout={"package/rbnf/de.json": content})
    found = rows(iter_numbers(cldr))
    assert found == {("zero", "de", "null"), ("eight", "de", "acht"), ("twelve", "de", "zwölf")}


def test_a_colour_is_called_what_its_shapes_share_and_no_other_has():
    def entry(name, *keywords):
        return {"tts": [name], "default": [*keywords, name]}

    emoji = {
        "🔴": entry("red circle", "circle", "geometric", "red"),
        "🟥": entry("red square", "geometric", "red", "square"),
        "🔵": entry("blue circle", "blue", "circle", "geometric"),
        "✡": entry("star of David", "Jewish", "star"),
        "🕍": entry("synagogue", "Jewish", "star"),
        "🕎": entry("menorah", "Jewish", "star"),
    }
    content = json.dumps({"annotations": {"annotations": emoji}}).encode()
    cldr = cldr_of(annotations={"package/annotations/en/annotations.json": content})
    assert rows(iter_shared_words(cldr)) == {("red", "en", "red"), ("Judaism", "en", "jewish")}


def make_mo(entries):
    """A catalog of translations, as gettext compiles it."""
    texts = sorted((key.encode(), value.encode()) for key, value in entries.items())
    start = 28 + 16 * len(texts)
    tables, body = [b"", b""], b""
    for column in (0, 1):
        for pair in texts:
            place = start + len(body)
            tables[column] += len(pair[column]).to_bytes(4, "little") + place.to_bytes(4, "little")
            body += pair[column] + b"\0"
    numbers = (0x950412DE, 0, len(texts), 28, 28 + 8 * len(texts), 0, 0)
    return b"".join(number.to_bytes(4, "little") for number in numbers) + b"".join(tables) + body


def test_a_holiday_is_called_as_the_countrys_own_list_and_as_its_translations_say():
    head = {"": "Content-Type: text/plain; charset=UTF-8\n"}
    catalogs = {
        "de": head,
        "en_US": head | {"Erster Weihnachtstag": "Christmas Day", "Feiertag": "A Holiday"},
        "uk": head | {"Erster Weihnachtstag": "Перший день Різдва"},
    }
    wheel = make_wheel(
        {f"holidays/locale/{k}/LC_MESSAGES/DE.mo": make_mo(v) for k, v in catalogs.items()}
    )
    found = rows(iter_holidays(Archive(wheel)))
    assert found == {
        ("Christmas", "de", "Erster Weihnachtstag"),
        ("Christmas", "en", "Christmas Day"),
        ("Christmas", "uk", "Перший день Різдва"),
    }


@pytest.mark.parametrize(
    ("phrase", "language", "is_kept"),
    [
        ("Katze", "de", True),
        ("猫", "zh", True),
        ("马", "zh", False),
        ("1月", "ja", True),
        ("ox", "en", False),
        ("voi", "fi", False),
        ("a (b)", "en", False),
        ("12", "en", False),
        (" ".join(["word"] * 13), "en", False),
    ],
)
def test_what_is_kept(phrase, language, is_kept):
    assert is_worth_keeping(Term("c", "animal", language, phrase, "cldr")) is is_kept


def test_the_same_terms_give_the_same_bytes(tmp_path):
    terms = [Term("cat", "animal", "en", f"cat {n}", "cldr") for n in range(1000)]
    for name in ("a", "b"):
        write_lexicon(terms, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def wordnet_of(**senses):
    """The nouns of a package: by lemma the file, and what it is a kind (``@``) or an instance (``@i``) of."""
    offsets = {lemma: f"{n:08}" for n, lemma in enumerate(senses, 1)}
    data, index = [], []
    for lemma, (file, *above) in senses.items():
        pointers = "".join(f" {sign} {offsets[to]} n 0000" for sign, to in above)
        data.append(
            f"{offsets[lemma]} {file:02} n 01 {lemma} 0 {len(above):03}{pointers} | a gloss"
        )
        index.append(f"{lemma.lower()} n 1 0 1 0 {offsets[lemma]}")
    files = {"data.noun": data, "index.noun": index, "index.verb": ["chat v 1 0 1 0 00000001"]}
    files |= {"index.adj": [], "index.adv": []}
    lines = {f"usr/share/wordnet/{name}": "\n".join(some).encode() for name, some in files.items()}
    return Archive(make_deb(lines))


@pytest.mark.slow
def test_wordnet_says_what_is_of_a_kind_and_what_a_longer_phrase_does_not_name():
    archive = wordnet_of(
        bird=(5,), cat=(5,), sea=(17,), kestrel=(5, ("@", "bird")), chat=(5, ("@", "bird")),
        Boston_bird=(5, ("@", "bird")), Yellow_Sea=(17, ("@i", "sea")), Yellow_Gate=(6, ("@i", "sea")),
        black_cat=(5,), black_mass=(4,), cat_burglar=(10,), black_bird=(5, ("@", "bird")),
    )  # fmt: skip
    words = "bird:animal cat:animal sea:place yellow:color black:color Boston:region"
    pairs = [word.split(":") for word in words.split()]
    wordnet = read_wordnet(archive, [(name, family, "en", name) for name, family in pairs])
    assert {(term.concept, term.phrase) for term in wordnet.iter_terms()} == {
        ("bird", "kestrel"),
        ("bird", "boston bird"),
        ("sea", "yellow sea"),
    }
    assert wordnet.compounds() == [
        "black mass", "black masses", "cat burglar", "cat burglars", "yellow gate",
    ]  # fmt: skip
