"""Texts to concepts: tokens, phrases of the lexicon, and what an example shows by them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sql_world import SqlWorld, empty_world

VIEWS = (
    "lexicon_phrases",
    "lexicon_rules",
    "text_tokens",
    "text_spans",
    "text_matches",
    "text_concepts",
    "title_people",
    "image_texts",
    "named_concepts",
    "example_concepts",
    "concepts",
)
PHRASE = "concept category language phrase"
TEXT = "language text_rank text"
LEXICON = [
    ("Guinea", "region", "en", "Guinea"),
    ("Papua New Guinea", "region", "en", "Papua New Guinea"),
    ("Japan", "region", "en", "Japan"),
    ("Japan", "region", "en", "Japanese"),
    ("Japan", "region", "ja", "日本"),
    ("Japan", "region", "zh", "日本"),
    ("Japan", "region", "fr", "Japon"),
    ("Thailand", "region", "th", "ไทย"),
    ("Iceland", "region", "he", "איסלנד"),
    ("Norway", "region", "no", "Norge"),
    ("Ivory Coast", "region", "fr", "Côte d’Ivoire"),
    ("orange", "color", "en", "orange"),
    ("orange", "food", "en", "orange"),
    ("cat", "animal", "en", "cat"),
    ("new", "person_trait", "en", "new"),
]


def concepts_of(*texts, lexicon=LEXICON, kind="caption", **changes):
    """The concepts of one example with these (language, text) pairs."""
    world = empty_world(VIEWS, **changes)
    world.add("lexicon", PHRASE, *lexicon)
    rows = [(language, rank, text) for rank, (language, text) in enumerate(texts, 1)]
    world.add("stg_texts", TEXT, *rows, example_id=7, text_kind=kind)
    return set(world.rows("select concept, category from example_concepts"))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The CAT, sat.", ["the", "cat", "sat"]),
        ("São Tomé", ["são", "tomé"]),
        ("Sa\u0303o Tome\u0301", ["são", "tomé"]),
        ("iPhone手机2", ["iphone", "手", "机", "2"]),
        ("日本のネコ", ["日", "本", "の", "ネ", "コ"]),
        ("ケーキ", ["ケ", "ー", "キ"]),
        ("대한민국 서울", ["대한민국", "서울"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("Côte d'Ivoire", ["côte", "d", "ivoire"]),
        ("1950-05-04", ["1950", "05", "04"]),
        ("", []),
        ("—!?", []),
    ],
)
def test_tokenise(text, tokens):
    assert empty_world(()).rows("select tokenise(?)", text) == [(tokens,)]


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("en", "en"),
        ("EN-gb", "en"),
        ("zh-TW", "zh"),
        ("zh_Hant", "zh"),
        ("iw", "he"),
        ("nb", "no"),
        ("in", "id"),
        ("tl", "fil"),
        ("pt-BR", "pt"),
        ("sr-Latn", "sr"),
        ("sh", "sr"),
        ("zh-yue", "yue"),
        ("zh", "zh"),
        ("und", "xx"),
        ("und-Latn", "xx"),
        ("", "xx"),
        (None, "xx"),
        ("simple", "en"),
    ],
)
def test_base_language(tag, language):
    assert empty_world(()).rows("select base_language(?, 'xx')", tag) == [(language,)]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "a JAPANESE cat", {("Japan", "region"), ("cat", "animal")}),
        ("en", "a catalogue", set()),
        ("en", "Papua New Guinea", {("Papua New Guinea", "region")}),
        (
            "en",
            "Guinea and Papua New Guinea",
            {("Guinea", "region"), ("Papua New Guinea", "region")},
        ),
        ("en", "papua, new guinea", {("Papua New Guinea", "region")}),
        ("en", "New in Papua", {("new", "person_trait")}),
        ("en", "an orange", {("orange", "color"), ("orange", "food")}),
        ("fr", "au Japon", {("Japan", "region")}),
        ("fr", "Japanese", set()),
        ("fr", "la Côte d'Ivoire", {("Ivory Coast", "region")}),
        ("fr-CA", "le Japon", {("Japan", "region")}),
        ("ja", "これは日本の猫です", {("Japan", "region")}),
        ("zh-TW", "在日本的猫", {("Japan", "region")}),
        ("th", "ประเทศไทย", {("Thailand", "region")}),
        ("iw", "איסלנד", {("Iceland", "region")}),
        ("nn", "Norge rundt", {("Norway", "region")}),
        ("und", "the cat", {("cat", "animal")}),
        (None, "the cat", {("cat", "animal")}),
        ("de", "the cat", set()),
        ("en", "", set()),
        ("en", None, set()),
    ],
)
def test_matching(language, text, expected):
    assert concepts_of((language, text)) == expected


def test_default_language_is_a_setting():
    assert concepts_of(("und", "le Japon"), default_language="fr") == {("Japan", "region")}


def test_only_the_chosen_kinds_of_text_are_searched():
    assert concepts_of(("en", "cat"), kind="page") == set()
    assert concepts_of(("en", "cat"), kind="page", text_kinds=["page"]) == {("cat", "animal")}


def test_overlapping_matches_are_both_kept():
    lexicon = [
        ("ab", "object", "en", "a b"),
        ("bc", "object", "en", "b c"),
        ("b", "object", "en", "b"),
        ("c", "object", "en", "c"),
    ]
    assert concepts_of(("en", "a b c"), lexicon=lexicon) == {("ab", "object"), ("bc", "object")}
    assert concepts_of(("en", "a b x c"), lexicon=lexicon) == {("ab", "object"), ("c", "object")}


@settings(max_examples=20, deadline=None)
@given(
    texts=st.lists(st.lists(st.sampled_from("abc"), max_size=9), min_size=1, max_size=8),
    phrases=st.sets(
        st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(tuple), max_size=7
    ),
    before=st.sampled_from([0, 0, 57, 61, 63, 64, 125]),  # long texts are searched in parts
)
@pytest.mark.slow
def test_longest_match_equals_brute_force(texts, phrases, before):
    expected = {
        (n, " ".join(found)) for n, text in enumerate(texts) for found in longest(text, phrases)
    }
    world = empty_world(VIEWS)
    world.add("lexicon", PHRASE, *((" ".join(p), "object", "en", " ".join(p)) for p in phrases))
    for n, text in enumerate(texts):
        caption = ("en", 1, " ".join(["x"] * before + text))
        world.add("stg_texts", TEXT, caption, example_id=n, text_kind="caption")
    assert set(world.rows("select example_id, concept from example_concepts")) == expected


def longest(text, phrases):
    """The phrases of a text that lie in no longer one of it."""
    spans = {
        (start, start + len(phrase), phrase)
        for phrase in phrases
        for start in range(len(text) - len(phrase) + 1)
        if tuple(text[start : start + len(phrase)]) == phrase
    }
    return {
        phrase
        for start, end, phrase in spans
        if not any(
            other[0] <= start and end <= other[1] and other[1] - other[0] > end - start
            for other in spans
        )
    }


@pytest.mark.parametrize(
    ("language", "text", "concept", "count"),
    [
        ("en", "papua new guinea " * 40_000, "Papua New Guinea", 40_000),
        ("ja", "日本" * 60_000, "Japan", 60_000),
        ("en", "word" * 60_000 + " cat", "cat", 1),
    ],
)
def test_a_caption_of_a_hundred_thousand_words_needs_little_memory(language, text, concept, count):
    world = SqlWorld(VIEWS)
    world.con.execute("set memory_limit = '400MB'; set max_temp_directory_size = '1MB'")
    world.add("lexicon", PHRASE, *LEXICON)
    world.add("stg_texts", TEXT, (language, 1, text), example_id=1, text_kind="caption")
    assert world.rows("select concept, match_count from text_concepts") == [(concept, count)]


def test_example_concepts_count_texts_and_languages_and_show_the_shortest_phrase():
    world = empty_world(VIEWS)
    world.add("lexicon", PHRASE, *LEXICON)
    texts = [
        (1, "en", "caption", 1, "Japanese food of Japan"),
        (1, "en", "caption", 2, "no such thing"),
        (1, "en", "alt", 1, "Japanese"),
        (1, "ja", "caption", 1, "日本"),
        (2, "en", "caption", 1, "japanese"),
    ]
    world.add("stg_texts", "example_id language text_kind text_rank text", *texts)
    query = "select * exclude (dataset) from example_concepts order by example_id"
    assert world.rows(query) == [
        (1, "Japan", "region", "texts", 3, 2, ["en", "ja"], "日本", "ja"),
        (2, "Japan", "region", "texts", 1, 1, ["en"], "Japanese", "en"),
    ]
    query = "select * from concepts where example_count > 0"
    assert world.rows(query) == [("Japan", "region", 5, 4, 2)]
