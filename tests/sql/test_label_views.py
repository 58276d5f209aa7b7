"""The labelling views: given rows, expected rows; and SQL equal to exact arithmetic and SciPy."""

import itertools
import math
import re
from fractions import Fraction
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, hypergeom

SQL = Path(__file__).parents[2] / "sql"
VIEWS = (
    "20_lexicon_phrases",
    "21_text_tokens",
    "22_text_concepts",
    "24_title_people",
    "30_example_concepts",
    "31_concepts",
    "35_neuron_concepts",
    "36_neuron_labels",
)
TABLES = {
    "lexicon": "concept varchar, category varchar, language varchar, phrase varchar",
    "stg_texts": "dataset varchar, example_id bigint, language varchar, text_kind varchar, "
    "text_rank integer, text varchar, page_title varchar",
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
    } | changes
    columns = ", ".join(f"${name} as {name}" for name in parameters)
    con.execute(f"create table settings as select {columns}", parameters)
    con.execute((SQL / "05_macros.sql").read_text(encoding="utf-8"))
    for name in views:
        con.execute(f"create view {name[3:]} as {body(name)}")
    return con


def body(name):
    return (SQL / f"{name}.sql").read_text(encoding="utf-8")


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
)
def test_longest_match_equals_brute_force(text, phrases):
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
    found = concepts_of(("en", " ".join(text)), lexicon=lexicon)
    assert {concept for concept, _ in found} == expected


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


# --- enrichment --------------------------------------------------------------------------------


def fill(con, shows, tops, duplicates=(), run="r", dataset="d", units=None, layer="l"):
    """Examples 0.. that show concepts, and neurons with their top examples.

    Args:
        con: A connection from make_connection.
        shows: For each example, the concepts that it shows (words of the lexicon).
        tops: ``tops[unit][polarity]`` lists (example, activation), best first.
        duplicates: Examples that repeat an image.
        run: Name of the run.
        dataset: Name of the dataset.
        units: Units of the layer; by default as many as ``tops``.
        layer: Name of the layer.
    """
    insert(
        con,
        "stg_texts",
        [
            (dataset, i, "en", "caption", 1, " , ".join(words), None)
            for i, words in enumerate(shows)
            if words
        ],
    )
    insert(
        con,
        "stg_run_examples",
        [(run, dataset, "m", i, i in duplicates) for i in range(len(shows))],
    )
    insert(con, "stg_layers", [(dataset, "m", run, layer, units or len(tops))])
    insert(
        con,
        "top_examples",
        [
            (dataset, "m", run, layer, unit, polarity, rank, example, activation, 0.0)
            for unit, of_unit in enumerate(tops)
            for polarity, best in of_unit.items()
            for rank, (example, activation) in enumerate(best, 1)
        ],
    )


def words_lexicon(words):
    return [(word, "object", "en", word) for word in words]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), top_k=st.integers(1, 8), min_count=st.integers(1, 4))
def test_enrichment_equals_scipy(seed, top_k, min_count):
    rng = np.random.default_rng(seed)
    words = [f"w{i}" for i in range(6)]
    example_count, unit_count = 30, 5
    shows = [
        [word for j, word in enumerate(words) if rng.random() < 0.5 / (j + 1)]
        for _ in range(example_count)
    ]
    duplicates = set(rng.choice(example_count, 4, replace=False).tolist())
    kept = [i for i in range(example_count) if i not in duplicates]
    tops = [
        {
            polarity: [
                (int(i), float(rng.choice([0.0, 1.0, 2.0])))
                for i in rng.permutation(kept)[: rng.integers(0, 10)]
            ]
            for polarity in ("positive", "negative")
        }
        for _ in range(unit_count)
    ]
    con = make_connection(label_top_k=top_k, concept_min_count=min_count)
    insert(con, "lexicon", words_lexicon(words))
    fill(con, shows, tops, duplicates)

    base = {word: sum(word in shows[i] for i in kept) for word in words}
    tested = [word for word in words if base[word] >= min_count]
    expected = {}
    for polarity in ("positive", "negative"):
        pairs = {}
        for unit in range(unit_count):
            top = [i for i, activation in tops[unit][polarity][:top_k] if activation != 0]
            for word in tested if top else ():
                count = sum(word in shows[i] for i in top)
                p = hypergeom.sf(count - 1, len(kept), base[word], len(top)) if count else 1.0
                pairs[unit, polarity, word] = (len(top), count, base[word], min(p, 1.0))
        if pairs:
            q = false_discovery_control([pair[-1] for pair in pairs.values()])
            for (key, pair), one in zip(pairs.items(), q, strict=True):
                if pair[1]:
                    expected[key] = (*pair, one)
    got = {
        (unit, polarity, concept): values
        for unit, polarity, concept, *values in rows(
            con,
            "select unit, polarity, concept, top_size, top_count, base_count, p_value, q_value"
            " from neuron_concepts",
        )
    }
    assert got.keys() == expected.keys()
    for key, values in got.items():
        assert values == pytest.approx(expected[key], rel=1e-9), key
    for base_frac, lift, top_count, top_size, base_count, base_size, log10_p, p in rows(
        con,
        "select base_frac, lift, top_count, top_size, base_count, base_size, log10_p, p_value"
        " from neuron_concepts",
    ):
        assert base_size == len(kept)
        assert base_frac == pytest.approx(base_count / base_size)
        assert lift == pytest.approx((top_count / top_size) / (base_count / base_size))
        assert 10**log10_p == pytest.approx(p)


def test_an_example_counts_once_however_often_it_names_a_concept():
    con = make_connection(concept_min_count=1)
    insert(con, "lexicon", words_lexicon(["cat"]))
    fill(con, [["cat", "cat"], []], [{"positive": [(0, 1.0), (1, 0.5)]}])
    insert(con, "stg_texts", [("d", 0, "fr", "alt", 1, "cat", None)])
    insert(con, "stg_texts", [("d", 0, "en", "alt", 1, "cat", None)])
    query = "select top_count, base_count, lift from neuron_concepts"
    assert rows(con, query) == [(1, 1, 1.0)]


def test_runs_and_datasets_do_not_mix():
    con = make_connection(concept_min_count=1)
    insert(con, "lexicon", words_lexicon(["cat", "dog"]))
    top = [{"positive": [(0, 1.0), (1, 0.5)]}]
    fill(con, [["cat"], ["cat"], [], []], top, run="r1", dataset="d1")
    fill(con, [["dog"], [], ["dog"], [], []], top, run="r2", dataset="d2")
    query = "select dataset, run_id, concept, top_count, base_count, base_size from neuron_concepts"
    assert sorted(rows(con, query)) == [
        ("d1", "r1", "cat", 2, 2, 4),
        ("d2", "r2", "dog", 1, 2, 5),
    ]


# --- labels ------------------------------------------------------------------------------------


def labelled_world(**changes):
    """200 examples: 0-9 cats, 10-19 dogs, 0-4 also big; 100.. nothing. Six units."""
    con = make_connection(label_top_k=10, **changes)
    insert(con, "lexicon", words_lexicon(["cat", "dog", "big"]))
    shows = [
        [*(["cat"] if i < 10 else ["dog"] if i < 20 else []), *(["big"] if i < 5 else [])]
        for i in range(200)
    ]
    tops = [
        {"positive": [(i, 5.0 - i / 10) for i in range(10)]},  # cats
        {"positive": [(i, 1.0) for i in range(100, 110)]},  # nothing nameable
        {"positive": [(i, 1.0) for i in (0, *range(100, 109))]},  # one cat: chance
        {"positive": [(i, 0.0) for i in range(10)]},  # dead: ties at zero
        {"negative": [(i, -1.0) for i in range(10, 20)]},  # inhibited only
        {"positive": [(i, 3.0) for i in (10, 11, 12)] + [(i, 0.0) for i in range(7)]},  # 3 dogs
    ]
    fill(con, shows, tops, units=7)  # unit 6 has no row at all
    return con


def test_labels():
    con = labelled_world()
    query = "select unit, concept, runner_up, top_count, top_size, is_labelled, reason"
    assert rows(con, f"{query} from neuron_labels order by unit") == [
        (0, "cat", "big", 10, 10, True, None),
        (1, None, None, None, 10, False, "no concept in top examples"),
        (2, None, None, None, 10, False, "not significant"),
        (3, None, None, None, 0, False, "no activity"),
        (4, None, None, None, 0, False, "no activity"),
        (5, "dog", None, 3, 3, True, None),
        (6, None, None, None, 0, False, "no activity"),
    ]


def test_label_scores():
    con = labelled_world()
    ((score, second, margin, lift, category),) = rows(
        con,
        "select score, runner_up_score, margin, lift, category from neuron_labels where unit = 0",
    )
    assert score == pytest.approx(-math.log10(hypergeom.sf(9, 200, 10, 10)), rel=1e-9)
    assert second == pytest.approx(-math.log10(hypergeom.sf(4, 200, 5, 10)), rel=1e-9)
    assert margin == pytest.approx(score - second)
    assert (lift, category) == (20.0, "object")
    ((score, margin),) = rows(con, "select score, margin from neuron_labels where unit = 5")
    assert score == margin
    nulls = "select count(*) from neuron_labels where not is_labelled and (score is not null"
    nulls += " or category is not null or q_value is not null or lift is not null)"
    assert rows(con, nulls) == [(0,)]


def test_settings_decide_what_is_a_label():
    query = "select unit from neuron_labels where is_labelled order by unit"
    assert rows(labelled_world(label_min_count=4), query) == [(0,)]
    assert rows(labelled_world(label_max_q=1e-12), query) == [(0,)]
    assert rows(labelled_world(label_max_q=1e-30), query) == []
    assert rows(labelled_world(concept_min_count=11), query) == []
    reasons = "select distinct reason from neuron_labels where unit in (0, 5)"
    assert rows(labelled_world(label_max_q=1e-30), reasons) == [("not significant",)]


def test_ties_are_broken_by_name_then_category():
    for order in itertools.permutations([("b", "animal"), ("b", "food"), ("c", "animal")]):
        con = make_connection(label_top_k=5)
        insert(con, "lexicon", [(concept, cat, "en", "same") for concept, cat in order])
        fill(con, [["same"]] * 5 + [[]] * 95, [{"positive": [(i, 1.0) for i in range(5)]}])
        query = "select concept, category, runner_up, margin from neuron_labels"
        assert rows(con, query) == [("b", "animal", "c", 0.0)]


def test_results_do_not_depend_on_the_order_of_rows_or_threads():
    def outcome(shuffled, threads):
        con = labelled_world()
        con.execute(f"set threads = {threads}")
        if shuffled:
            for table in TABLES:
                con.execute(f"create table copy as from {table} order by hash(columns(*)::varchar)")
                con.execute(f"drop table {table}")
                con.execute(f"alter table copy rename to {table}")
        tables = ("example_concepts", "concepts", "neuron_concepts", "neuron_labels")
        return [rows(con, f"select * from {table} order by all") for table in tables]

    assert outcome(False, 1) == outcome(False, 2)


# --- the files themselves ----------------------------------------------------------------------


@pytest.mark.parametrize("name", VIEWS)
def test_header_tells_the_columns(name):
    con = make_connection()
    text = body(name)
    header = [line[3:] for line in text.splitlines() if line.startswith("-- ")]
    table = next(i for i, line in enumerate(header) if line.startswith("column "))
    documented = [tuple(re.split(r"\s+", line, maxsplit=2)[:2]) for line in header[table + 1 :]]
    documented = documented[: len(rows(con, f"describe {name[3:]}"))]
    described = [(row[0], row[1].lower()) for row in rows(con, f"describe {name[3:]}")]
    assert documented == described
    assert header[0].split() == ["view:", name[3:]]


@pytest.mark.parametrize("name", ("05_macros", *VIEWS))
def test_lines_are_short_and_lower_numbers_only(name):
    text = body(name)
    assert max(map(len, text.splitlines())) <= 88
    assert "select *" not in text
    (reads,) = re.findall(r"^-- reads: +(.*)$", text, re.MULTILINE) or [""]
    ours = {view[3:]: int(view[:2]) for view in VIEWS}
    for read in reads.split(", "):
        assert ours.get(read, 0) < int(name[:2])
