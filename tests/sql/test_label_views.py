"""The labelling views: given rows, expected rows; and SQL equal to exact arithmetic and SciPy."""

import math
from fractions import Fraction

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from pipeline.warehouse.views import find_view, load_statements

VIEWS = (
    "lexicon_phrases",
    "text_tokens",
    "text_concepts",
    "title_people",
    "image_texts",
    "example_concepts",
    "concepts",
)
TABLES = {
    "lexicon": "concept varchar, category varchar, language varchar, phrase varchar",
    "stg_texts": "dataset varchar, example_id bigint, language varchar, text_kind varchar, "
    "text_rank integer, text varchar, page_title varchar",
    "stg_examples": "dataset varchar, example_id bigint, duplicate_of bigint",
    "stg_run_examples": "run_id varchar, dataset varchar, model_id varchar, example_id bigint, "
    "is_duplicate boolean",
    "top_examples": "dataset varchar, model_id varchar, run_id varchar, layer varchar, "
    "unit integer, polarity varchar, example_rank bigint, example_id bigint, activation float, "
    "activation_sd double",
    "stg_layers": "dataset varchar, model_id varchar, run_id varchar, layer varchar, "
    "unit_count integer",
}
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


def make_connection(views=VIEWS, tables=TABLES, **changes):
    """An in-memory warehouse: empty tables, the settings row, the macros and the views."""
    con = duckdb.connect(":memory:", config={"threads": 2})
    for name, columns in tables.items():
        con.execute(f"create table {name} ({columns})")
    parameters = {
        "label_top_k": 50,
        "label_max_q": 0.05,
        "label_min_count": 3,
        "concept_min_count": 3,
        "default_language": "en",
        "text_kinds": ["caption", "alt", "page_title", "section_title"],
        "sd_bin_width": 1.0,
        "sd_bin_offset": 0.0,
    } | changes
    columns = ", ".join(f"${name} as {name}" for name in parameters)
    con.execute(f"create table settings as select {columns}", parameters)
    con.execute("".join(load_statements()))
    for name in views:
        con.execute(f"create view {name} as {find_view(name).body}")
    return con


def insert(con, table, rows):
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        con.executemany(f"insert into {table} values ({marks})", rows)


def rows(con, query, *parameters):
    return con.execute(query, parameters).fetchall()


def concepts_of(*texts, lexicon=LEXICON, kind="caption", **changes):
    """The concepts of one example with these (language, text) pairs."""
    con = make_connection(**changes)
    insert(con, "lexicon", lexicon)
    insert(
        con,
        "stg_texts",
        [("d", 7, lang, kind, rank, text, None) for rank, (lang, text) in enumerate(texts, 1)],
    )
    return {
        (concept, category)
        for concept, category in rows(con, "select concept, category from example_concepts")
    }


# --- tokens ------------------------------------------------------------------------------------


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
    assert rows(make_connection(()), "select tokenise(?)", text) == [(tokens,)]


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("en", "en"),
        ("EN-gb", "en"),
        ("zh-TW", "zh"),
        ("zh_Hant", "zh"),
        ("iw", "he"),
        ("nb", "no"),
        ("und", "xx"),
        ("und-Latn", "xx"),
        ("", "xx"),
        (None, "xx"),
        ("simple", "en"),
    ],
)
def test_base_language(tag, language):
    assert rows(make_connection(()), "select base_language(?, 'xx')", tag) == [(language,)]


# --- matching ----------------------------------------------------------------------------------


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


@settings(max_examples=60, deadline=None)
@given(
    text=st.lists(st.sampled_from("abc"), max_size=9),
    phrases=st.sets(
        st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(tuple), max_size=7
    ),
    before=st.sampled_from([0, 0, 57, 61, 63, 64, 125]),  # long texts are searched in parts
)
def test_longest_match_equals_brute_force(text, phrases, before):
    spans = {
        (start, start + len(phrase), phrase)
        for phrase in phrases
        for start in range(len(text) - len(phrase) + 1)
        if tuple(text[start : start + len(phrase)]) == phrase
    }
    expected = {
        " ".join(phrase)
        for start, end, phrase in spans
        if not any(
            other[0] <= start and end <= other[1] and other[1] - other[0] > end - start
            for other in spans
        )
    }
    lexicon = [(" ".join(phrase), "object", "en", " ".join(phrase)) for phrase in phrases]
    found = concepts_of(("en", " ".join(["x"] * before + text)), lexicon=lexicon)
    assert {concept for concept, _ in found} == expected


@pytest.mark.parametrize(
    ("language", "text", "concept", "count"),
    [
        ("en", "papua new guinea " * 40_000, "Papua New Guinea", 40_000),
        ("ja", "日本" * 60_000, "Japan", 60_000),
        ("en", "word" * 60_000 + " cat", "cat", 1),
    ],
)
def test_a_caption_of_a_hundred_thousand_words_needs_little_memory(language, text, concept, count):
    con = make_connection()
    con.execute("set memory_limit = '400MB'; set max_temp_directory_size = '1MB'")
    insert(con, "lexicon", LEXICON)
    insert(con, "stg_texts", [("d", 1, language, "caption", 1, text, None)])
    rows = con.execute("select concept, match_count from text_concepts").fetchall()
    assert rows == [(concept, count)]


def test_example_concepts_count_texts_and_languages_and_show_the_shortest_phrase():
    con = make_connection()
    insert(con, "lexicon", LEXICON)
    insert(
        con,
        "stg_texts",
        [
            ("d", 1, "en", "caption", 1, "Japanese food of Japan", None),
            ("d", 1, "en", "caption", 2, "no such thing", None),
            ("d", 1, "en", "alt", 1, "Japanese", None),
            ("d", 1, "ja", "caption", 1, "日本", None),
            ("d", 2, "en", "caption", 1, "japanese", None),
        ],
    )
    query = "select * exclude (dataset) from example_concepts order by example_id"
    assert rows(con, query) == [
        (1, "Japan", "region", "texts", 3, 2, "日本", "ja"),
        (2, "Japan", "region", "texts", 1, 1, "Japanese", "en"),
    ]
    query = "select * from concepts where example_count > 0"
    assert rows(con, query) == [("Japan", "region", 5, 4, 2)]


# --- people ------------------------------------------------------------------------------------

PEOPLE = [
    ("en", "Ada Lovelace", "Ada Lovelace (10 December 1815 – 27 November 1852) was an English"),
    ("en", "Jane Roe", "Jane Roe (born 4 May 1950) is a singer."),
    ("en", "John Roe", "John Roe, Jr. was born in Leeds on 3 May 1950."),
    ("en", "Young One", "Young One (Greek: Νέος; born May 2001) is an athlete."),
    ("en", "Old One", "Old One (1879–1955) was a painter."),
    ("fr", "Marie Untel", "Marie Untel, née le 7 novembre 1867 à Varsovie, est une physicienne"),
    ("fr", "Jean Untel", "Jean Untel, né à Paris en 1950, est un acteur."),
    ("es", "Juana Tal", "Juana Tal (nacida el 5 de mayo de 1950) es una actriz."),
    ("es", "Juan Tal", "Juan Tal (Ulm, 14 de marzo de 1879-Princeton, 18 de abril de 1955) fue un"),
    ("de", "Max Muster", "Max Muster (* 14. März 1879 in Ulm; † 18. April 1955 in Princeton) war"),
    ("de", "Mia Muster", "Mia Muster, geboren am 3. Mai 1950, ist eine Sängerin."),
    (
        "it",
        "Mario Tale",
        "Mario Tale (Roma, 3 maggio 1950) è un attore. Mario Tale (nato nel 1950)",
    ),
    ("pt", "João Tal", "João Tal nasceu em Lisboa em 3 de maio de 1950"),
    ("nl", "Jan Jansen", "Jan Jansen (Delft, 3 mei 1850 – Den Haag, 4 mei 1920) was een schilder"),
    ("ru", "Иванов, Иван", "Иван Иванов (род. 3 мая 1950, Москва) — актёр"),
    ("uk", "Іваненко", "Іваненко (нар. 3 травня 1950) — актор"),
    ("pl", "Jan Kowalski", "Jan Kowalski (ur. 3 maja 1950 w Łodzi) – aktor"),
    ("ja", "山田太郎", "山田 太郎(やまだ たろう、1950年5月3日 - )は、日本の俳優。1950年生まれ"),
    ("zh", "张三", "张三(1950年5月3日出生),演员"),
    ("tr", "Ali Veli", "Ali Veli (d. 3 Mayıs 1950, İzmir), oyuncu"),
]
THINGS = [
    ("en", "World War II", "World War II (1939–1945) was a global war."),
    ("en", "Soviet Union", "The Soviet Union (1922–1991) was a transcontinental country."),
    ("en", "Bridge", "The bridge (built 1950) is 300 m long. Its architect died later."),
    ("en", "Chess", "Chess is a board game for two players, called the game of kings."),
    ("fr", "Guerre", "La guerre (1914-1918) est un conflit."),
    ("de", "Haus", "Das Haus wurde 1879 gebaut."),
    ("en", "", "Nobody (born 1950) is someone."),
    ("en", None, "Nobody (born 1950) is someone."),
]


@pytest.mark.parametrize(("language", "title", "text"), PEOPLE)
def test_people_are_found_by_their_pages(language, title, text):
    con = make_connection()
    insert(con, "stg_texts", [("d", 3, language, "page", 1, text, title)])
    found = rows(con, "select concept, category, origin, evidence_language from example_concepts")
    assert found == [(title, "person", "page_title", language)]


@pytest.mark.parametrize(("language", "title", "text"), THINGS)
def test_things_are_not_people(language, title, text):
    con = make_connection()
    insert(con, "stg_texts", [("d", 3, language, "page", 1, text, title)])
    assert rows(con, "select concept, evidence from title_people") == []


def test_people_come_from_page_texts_only_and_are_counted():
    con = make_connection()
    born = "X Y (born 4 May 1950) is"
    insert(
        con,
        "stg_texts",
        [
            ("d", 1, "en", "caption", 1, born, "X Y"),
            ("d", 2, "en", "page", 1, born, " X Y "),
            ("d", 2, "de", "page", 1, "X Y (* 4. Mai 1950) ist", "X Y"),
            ("d", 2, "en", "page", 2, born, "X Y"),
        ],
    )
    query = "select example_id, concept, text_count, language_count, evidence from example_concepts"
    assert rows(con, query) == [(2, "X Y", 3, 2, "(* 4. Mai 1950")]


# --- the hypergeometric tail -------------------------------------------------------------------


def log_tail(cases):
    con = make_connection(())
    con.execute("create table cases (i integer, n bigint, k bigint, d bigint, h bigint)")
    insert(con, "cases", [(i, *case) for i, case in enumerate(cases)])
    return [
        value
        for (value,) in rows(
            con, "select hypergeometric_log_tail(n, k, d, h) from cases order by i"
        )
    ]


def exact_log_tail(population, marked, drawn, hits):
    ways = sum(
        math.comb(marked, i) * math.comb(population - marked, drawn - i)
        for i in range(hits, min(marked, drawn) + 1)
    )
    tail = Fraction(ways, math.comb(population, drawn))
    return math.log(tail.numerator) - math.log(tail.denominator) if ways else -math.inf


def test_tail_equals_exact_arithmetic_up_to_ten_million():
    rng = np.random.default_rng(0)
    cases = []
    for population in (1, 5, 20, 200, 1913, 100_000, 10_000_000):
        for _ in range(60):
            marked = int(rng.integers(0, min(population, int(rng.choice([5, 100, 3000]))) + 1))
            drawn = int(rng.integers(0, min(population, 100) + 1))
            low, high = max(0, drawn + marked - population), min(drawn, marked)
            cases.append((population, marked, drawn, int(rng.integers(low, high + 1))))
    cases.append((10_000_000, 100, 100, 100))
    got = np.array(log_tail(cases))
    want = np.array([exact_log_tail(*case) for case in cases])
    assert want.min() < -1000  # far beyond what a double can hold as a probability
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_tail_equals_scipy(data):
    population = data.draw(st.integers(1, 3000))
    marked = data.draw(st.integers(0, population))
    drawn = data.draw(st.integers(0, population))
    hits = data.draw(st.integers(0, min(marked, drawn)))
    (got,) = log_tail([(population, marked, drawn, hits)])
    want = hypergeom.sf(hits - 1, population, marked, drawn)
    if want > 1e-290:
        assert math.exp(got) == pytest.approx(want, rel=1e-9)


def test_tail_at_its_ends():
    assert log_tail([(10, 5, 5, 0), (10, 8, 5, 3), (10, 3, 5, 4), (10, 0, 5, 0)]) == [
        0.0,
        0.0,
        -math.inf,
        0.0,
    ]
