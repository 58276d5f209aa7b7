"""The shipped lexicon: its form, its coverage, and that its sources still give it."""

import csv
import unicodedata
from collections import Counter
from importlib import resources

import pytest

from pipeline.concepts.lexicon import (
    CATEGORIES,
    COLUMNS,
    build_lexicon,
    iter_own_terms,
    load_lexicon,
    write_lexicon,
)


@pytest.fixture(scope="module")
def shipped():
    with (resources.files("pipeline.concepts") / "lexicon.csv").open(encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == COLUMNS
    return [tuple(row) for row in rows]


@pytest.fixture(scope="module")
def built():
    return [tuple(term) for term in build_lexicon()]


def test_it_is_sorted_unique_and_small(shipped):
    assert shipped == sorted(set(shipped))
    assert 10_000 < len(shipped) < 50_000
    assert len("".join(map("".join, shipped)).encode()) < 1_500_000


def test_every_field_is_filled_and_normal(shipped):
    for row in shipped:
        assert all(row), row
        assert all(field == field.strip() for field in row), row
        assert unicodedata.is_normalized("NFC", row[3]), row
        assert any(unicodedata.category(char)[0] in "LN" for char in row[3]), row
        assert not set(row[3]) & set("_;|()"), row


def test_every_family_but_people_has_concepts_in_several_languages(shipped):
    concepts = {family: {row[0] for row in shipped if row[1] == family} for family in CATEGORIES}
    assert not concepts.pop("person")
    for family, names in concepts.items():
        assert len(names) >= 6, family
        assert len({row[2] for row in shipped if row[1] == family}) >= 5, family
    assert {row[1] for row in shipped} == concepts.keys()


def test_languages(shipped):
    counts = Counter(row[2] for row in shipped)
    assert len(counts) >= 30
    assert all("-" not in language for language in counts)
    for language in ("en", "es", "fr", "de", "it", "pt", "ru", "ja", "zh", "ko", "ar", "nl"):
        assert counts[language] >= 400, language


@pytest.mark.parametrize(
    "row",
    [
        ("Japan", "region", "en", "Japanese"),
        ("Japan", "region", "ja", "日本"),
        ("Germany", "region", "zh", "德国"),
        ("Germany", "region", "zh", "德國"),
        ("Myanmar", "region", "en", "Burma"),
        ("Turkey", "region", "en", "Turkey"),
        ("Hong Kong", "region", "en", "Hong Kong"),
        ("Europe", "region", "fi", "Eurooppa"),
        ("Norway", "region", "no", "Norge"),
        ("Paris", "region", "ru", "Париж"),
        ("cat", "animal", "es", "gato"),
        ("orange", "color", "en", "orange"),
        ("January", "time", "it", "gennaio"),
        ("Friday", "time", "de", "Freitag"),
        ("joy", "emotion", "fr", "joie"),
        ("Islam", "religion", "tr", "cami"),
        ("teacher", "person_trait", "de", "lehrerin"),
        ("seven", "counting", "de", "sieben"),
        ("Christmas", "holiday", "ja", "クリスマス"),
    ],
)
def test_some_rows(shipped, row):
    assert row in set(shipped)


def test_no_junk(shipped):
    phrases = {row[2:] for row in shipped}
    for junk in [("en", "x"), ("en", "may"), ("ja", "の"), ("zh", "马"), ("ko", "소")]:
        assert junk not in phrases
    for concept in ("Congo - Kinshasa", "Unknown Region", "world"):
        assert concept not in {row[0] for row in shipped}


def test_a_concept_has_one_spelling(shipped):
    names = {row[0] for row in shipped}
    folded = Counter(name.casefold() for name in names)
    assert [name for name, count in folded.items() if count > 1] == []


def test_our_own_words_are_all_shipped(shipped):
    own = {tuple(term) for term in iter_own_terms()}
    assert own
    assert own <= set(shipped)
    assert {row[1] for row in own} <= set(CATEGORIES)


def test_sources_still_give_the_shipped_lexicon(shipped, built):
    """Another version of babel or emoji may change a few names, no more."""
    ours, theirs = set(shipped), set(built)
    assert len(ours & theirs) >= 0.98 * len(ours | theirs), sorted(ours ^ theirs)[:20]


def test_the_same_bytes_every_time(built, tmp_path):
    assert write_lexicon(tmp_path / "a.csv") == len(built)
    write_lexicon(tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_load_gives_an_arrow_table(shipped):
    table = load_lexicon()
    assert tuple(table.column_names) == COLUMNS
    assert [str(field.type) for field in table.schema] == ["string"] * 4
    assert table.num_rows == len(shipped)
    assert tuple(table.slice(0, 1).to_pylist()[0].values()) == shipped[0]
