"""The shipped lexicon: its form, what it covers, and what it was made from."""

import json
import unicodedata
from collections import Counter

import pyarrow.parquet as pq
import pytest

from pipeline.concepts.lexicon import CATEGORIES, COLUMNS, LEXICON, SOURCES, load_lexicon
from pipeline.concepts.make.own import iter_own_terms
from pipeline.concepts.make.table import made_from
from pipeline.concepts.make.terms import spell


@pytest.fixture(scope="module")
def shipped():
    return [tuple(row.values()) for row in load_lexicon().to_pylist()]


@pytest.fixture(scope="module")
def known(shipped):
    return set(shipped)


def test_it_is_sorted_unique_and_small(shipped, known):
    assert shipped == sorted(known)
    assert 200_000 < len(shipped) < 400_000
    assert LEXICON.stat().st_size < 3_000_000


def test_every_field_is_filled_and_in_one_spelling(shipped):
    for row in shipped:
        assert all(row), row
        assert not set(row[3]) & set("_;|()（）"), row
        assert "-" not in row[2], row
    for phrase in {row[3] for row in shipped}:
        assert phrase == spell(phrase)
        assert any(unicodedata.category(char)[0] in "LN" for char in phrase), phrase


def test_every_family_but_people_has_concepts_in_several_languages(shipped):
    concepts = {family: {row[0] for row in shipped if row[1] == family} for family in CATEGORIES}
    assert not concepts.pop("person")
    for family, names in concepts.items():
        assert len(names) >= 6, family
        assert len({row[2] for row in shipped if row[1] == family}) >= 5, family
    assert {row[1] for row in shipped} == concepts.keys()


def test_it_knows_countries_and_months_in_every_language_of_cldr_and_things_in_a_hundred(shipped):
    found = Counter((language, category) for _, category, language, _ in shipped)
    countries = [language for language, family in found if family == "region"]
    assert sum(found[language, "region"] >= 200 for language in countries) >= 150
    assert sum(found[language, "time"] >= 19 for language in countries) >= 150
    for family, enough in {"animal": 90, "food": 90, "object": 200, "emotion": 70}.items():
        languages = [one for one in countries if found[one, family] >= enough]
        assert len(languages) >= 90, family


@pytest.mark.parametrize(
    "row",
    """
    Japan region en Japanese; Japan region ja 日本; Germany region zh 德国; Germany region zh 德國
    Myanmar region en Burma; Turkey region en Turkey; Hong Kong region en Hong Kong
    Europe region fi Eurooppa; Norway region no Norge; Paris region ru Париж
    Paris region it Parigi; Paris region nl Parijs; Paris region el Παρίσι; Paris region fi Pariisi
    Berlin region fr Berlin; Berlin region bg Берлин; Moscow region de Moskau
    Moscow region hu Moszkva; Beijing region en Beijing; Beijing region fr Pékin
    Beijing region zh 北京市; Cape Town region en Cape Town; Cape Town region de Kapstadt
    cat animal es gato; cat animal et kass; cat animal bg котка; cat animal el γάτα
    orange color en orange; January time it gennaio; January time ja 1月; Friday time de Freitag
    joy emotion fr joie; Islam religion tr cami; teacher person_trait de Lehrer
    seven counting de sieben; Christmas holiday ja クリスマス
    """.strip()
    .replace("\n", ";")
    .split(";"),
)
def test_some_rows(known, row):
    family = next(word for word in row.split() if word in CATEGORIES)
    concept, rest = row.strip().split(f" {family} ")
    language, _, phrase = rest.partition(" ")
    assert (concept, family, language, phrase) in known


def test_a_name_with_an_ampersand_is_known_with_the_word_too(known):
    english = {row[3] for row in known if row[1:3] == ("region", "en")}
    for phrase in english:
        assert phrase.replace(" & ", " and ") in english
    assert ("Bosnia & Herzegovina", "region", "de", "Bosnien & Herzegowina") in known
    assert ("Bosnia & Herzegovina", "region", "de", "Bosnien und Herzegowina") in known
    assert ("St. Lucia", "region", "en", "Saint Lucia") in known


def test_no_junk(shipped):
    phrases = {row[2:] for row in shipped}
    for junk in [
        ("en", "x"),
        ("en", "may"),
        ("ja", "の"),
        ("zh", "马"),
        ("ko", "소"),
        ("en", "Sun"),
    ]:
        assert junk not in phrases
    for concept in ("Congo - Kinshasa", "Unknown Region", "world"):
        assert concept not in {row[0] for row in shipped}
    assert ("en", "Congo") not in phrases, "there are two"


def test_a_concept_has_one_spelling(shipped):
    names = {row[0] for row in shipped}
    folded = Counter(name.casefold() for name in names)
    assert [name for name, count in folded.items() if count > 1] == []


def test_our_own_words_are_all_shipped(known):
    own = {term[:4] for term in iter_own_terms()}
    assert own
    assert own <= known
    assert {row[1] for row in own} <= set(CATEGORIES)


def test_the_file_says_what_it_was_made_from_and_that_is_what_is_pinned_now():
    """Whoever changes a version, or our own list, makes the lexicon anew."""
    metadata = pq.read_schema(LEXICON).metadata
    assert json.loads(metadata[b"made_from"]) == made_from()


def test_the_file_says_who_says_so():
    table = pq.read_table(LEXICON)
    assert table.column_names == [*COLUMNS, "source"]
    sources = table.column("source").value_counts().to_pylist()
    assert {row["values"] for row in sources} <= set(SOURCES)


def test_load_gives_an_arrow_table(shipped):
    table = load_lexicon()
    assert tuple(table.column_names) == COLUMNS
    assert [str(field.type) for field in table.schema] == ["string"] * 4
    assert table.num_rows == len(shipped)
