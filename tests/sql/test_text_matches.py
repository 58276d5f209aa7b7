"""Why a phrase in a text names its concept, or does not: longest phrase, spelling, names, other scripts."""

import pytest
from sql_world import empty_world

VIEWS = (
    *("lexicon_phrases", "lexicon_rules", "lexicon_senses"),
    *("text_tokens", "text_spans", "text_matches"),
)
COLUMNS = "concept category language phrase forms rule"
LEXICON = [
    ("Turkey", "region", "en", "Turkey", None, None),
    ("turkey bird", "animal", "en", "turkey", "turkeys", None),
    ("Chad", "region", "en", "Chad", None, None),
    ("Paris", "region", "en", "Paris", None, None),
    ("Japan", "region", "en", "Japan", None, None),
    ("Cameroon", "region", "en", "Cameroon", None, None),
    ("China", "region", "en", "China", None, None),
    ("Poland", "region", "en", "Polish", None, None),
    ("London", "region", "en", "London", None, None),
    ("Rome", "region", "it", "Roma", None, None),
    ("white", "color", "en", "white", None, None),
    ("white", "color", "de", "weiß", "weißes|weiße", None),
    ("tiger", "animal", "en", "tiger", "tigers", None),
    ("church", "place", "en", "church", "churches", None),
    ("Ferrari", "brand", "en", "Ferrari", None, None),
    ("cow", "animal", "ru", "корова", "коровы|коров", None),
    ("Thailand", "region", "ja", "タイ", None, None),
    ("Kyoto", "region", "ja", "京都", None, None),
    ("Tokyo", "region", "ja", "東京", None, None),
    ("bridge", "place", "ja", "橋", None, None),
    ("horse", "animal", "ja", "馬", None, None),
    ("white", "color", "ja", "白", None, None),
    ("castle", "place", "ja", "城", None, None),
    (None, None, "en", "nail polish", None, "no concept"),
    (None, None, "en", "white", None, "no concept"),
    (None, None, "en", "Mount", None, "takes next"),
    (None, None, "it", "via", None, "takes next"),
    (None, None, "en", "Street", None, "takes previous"),
    (None, None, "mul", "chad", None, "given name"),
    (None, None, "mul", "jack", None, "given name"),
    (None, None, "mul", "paris", None, "given name"),
    (None, None, "ja", "と", None, "joint"),
    ("bat", "animal", "en", "bat", "bats", None),
    ("bat", "animal", "en", "bat", "baseball|home run", "without"),
    ("bat", "animal", "ja", "蝙蝠", None, None),
    ("bat", "animal", "ja", "蝙蝠", "野球", "without"),
    ("crane", "object", "en", "crane", "cranes", None),
    ("crane bird", "animal", "en", "crane", "cranes", None),
    ("crane bird", "animal", "en", "Crane", "nest|marsh", "with"),
]


def matches(text, language="en"):
    world = empty_world(VIEWS)
    world.add("lexicon", COLUMNS, *LEXICON)
    world.add(
        "stg_texts",
        "language text",
        (language, text),
        text_kind="caption",
        example_id=1,
        text_rank=1,
    )
    query = "select coalesce(concept, ''), coalesce(refused_by, '') from text_matches order by all"
    return world.rows(query)


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "In Turkey", [("Turkey", ""), ("turkey bird", "spelling")]),
        ("en", "Turkey is a country", [("Turkey", ""), ("turkey bird", "spelling")]),
        ("en", "A wild turkey", [("Turkey", "spelling"), ("turkey bird", "")]),
        ("en", "wild turkeys", [("turkey bird", "")]),
        ("en", "TURKEY", [("Turkey", ""), ("turkey bird", "")]),
        ("en", "A china bowl", [("China", "spelling")]),
        ("en", "a bowl from china", [("China", "")]),
        ("en", "Red nail polish", [("", "no concept")]),
        ("en", "Chad Smith plays", [("Chad", "name of a person")]),
        ("en", "A road in Chad", [("Chad", "")]),
        ("en", "Chad, Smith and others", [("Chad", "")]),
        ("en", "Paris Church at night", [("Paris", ""), ("church", "")]),
        ("en", "Jack London wrote", [("London", "name of a person")]),
        ("en", "Jack, London 1910", [("London", "")]),
        ("en", "A farm below Mount Cameroon", [("Cameroon", "name of a place")]),
        ("en", "A house in Church Street today", [("church", "name of a place")]),
        ("en", "A white church", [("church", ""), ("white", "")]),
        ("en", "The White House today", [("white", "part of a name")]),
        ("en", "White tigers asleep", [("tiger", ""), ("white", "")]),
        ("en", "White Ferrari on the road", [("Ferrari", ""), ("white", "")]),
        ("en", "Tiger Woods plays golf", [("tiger", "part of a name")]),
        ("en", "White Tiger", [("tiger", ""), ("white", "")]),
        ("en", "Al White in Memphis", [("white", "name of a person")]),
        ("en", "Church White and New", [("church", ""), ("white", "")]),
        ("de", "Das weiße Haus", [("white", "")]),
        ("de", "Weißes Kleid am Haken", [("white", "")]),
        ("de", "neben einer Familie Weiß", [("white", "part of a name")]),
        ("it", "Una casa in via Roma", [("Rome", "name of a place")]),
        ("it", "Una casa a Roma", [("Rome", "")]),
        ("ru", "Две коровы", [("cow", "")]),
        ("ja", "タイの橋", [("Thailand", ""), ("bridge", "")]),
        ("ja", "タイヤ", [("Thailand", "part of a word")]),
        ("ja", "東京都の馬", [("Tokyo", ""), ("horse", "")]),
        ("ja", "石橋さん", [("bridge", "part of a word")]),
        ("ja", "白馬と橋", [("bridge", ""), ("horse", ""), ("white", "")]),
        ("ja", "姫路城", [("castle", "")]),
        ("en", "A bat at home, a run away", [("bat", "")]),
        ("en", "Two bats and baseballs", [("bat", "other sense")]),
        ("en", "A home run off his bat", [("bat", "other sense")]),
        ("en", "A bat by the softbaseball", [("bat", "")]),  # words begin with what tells
        ("ja", "野球と蝙蝠", [("bat", "other sense")]),
        ("ja", "野と球と蝙蝠", [("bat", "")]),
        ("en", "A crane on a roof", [("crane", ""), ("crane bird", "other sense")]),
        ("en", "Cranes in marshes", [("crane", ""), ("crane bird", "")]),
        ("en", "Cranes", [("crane", ""), ("crane bird", "")]),
    ],
)
def test_rules(language, text, expected):
    assert matches(text, language) == expected


def test_a_form_is_told_from_the_phrase():
    world = empty_world(VIEWS)
    world.add("lexicon", COLUMNS, *LEXICON)
    texts = [(1, "A tiger"), (2, "Two tigers")]
    shared = {"language": "en", "text_kind": "caption", "text_rank": 1}
    world.add("stg_texts", "example_id text", *texts, **shared)
    query = "select phrase_key, phrase, is_form from text_matches order by all"
    assert world.rows(query) == [("tiger", "tiger", False), ("tigers", "tiger", True)]


@pytest.mark.parametrize(
    ("between", "expected"), [(0, "other sense"), (23, "other sense"), (24, ""), (200, "")]
)
def test_company_is_what_stands_within_24_tokens(between, expected):
    for text in ("bat " + "x " * between + "baseball", "baseball " + "x " * between + "bat"):
        assert matches(text) == [("bat", expected)]


@pytest.mark.parametrize("before", [0, 1, 61, 62, 63, 64, 65, 127, 128])
def test_what_stands_beside_a_phrase_is_known_across_the_parts_of_a_long_text(before):
    text = "x " * before + "Jack London and Mount Cameroon"
    assert matches(text) == [("Cameroon", "name of a place"), ("London", "name of a person")]
