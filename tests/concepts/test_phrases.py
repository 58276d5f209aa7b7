"""What texts are matched with: everyday words, forms and rules, as they ship."""

import csv
from collections import Counter
from importlib import resources

import pyarrow.parquet as pq
import pytest

from pipeline.concepts.everyday import iter_everyday
from pipeline.concepts.forms import FORMS, LANGUAGES, fold, inflect, load_terms
from pipeline.concepts.given_names import NAMES
from pipeline.concepts.lexicon import CATEGORIES
from pipeline.concepts.make.own import iter_misnomers
from pipeline.concepts.phrases import COLUMNS, EVERY_LANGUAGE, RULES, load_phrases
from pipeline.concepts.rules import read_senses
from pipeline.warehouse.matching import connect_lexicon

SENSE = ("rule", "language", "phrase", "concept", "category")
TERM = ("concept", "category", "language", "phrase")


@pytest.fixture(scope="module")
def forms():
    rows = pq.read_table(FORMS).to_pylist()
    return {(row["language"], row["phrase"]): set(row["forms"].split("|")) for row in rows}


def test_everyday_words_are_of_known_families_and_whole():
    rows = list(iter_everyday())
    assert len(rows) > 1000
    for row in rows:
        assert all(part and part == part.strip() for part in row), row
        assert row[1] in CATEGORIES, row


def test_every_concept_of_everyday_words_has_an_english_phrase():
    columns = load_terms().to_pydict().values()
    english = {row[:2] for row in zip(*columns, strict=True) if row[2] == "en"}
    assert {row[:2] for row in iter_everyday()} <= english


@pytest.mark.parametrize(
    ("language", "phrase", "form"),
    [
        ("en", "wolf", "wolves"),
        ("en", "peach", "peaches"),
        ("de", "Kirche", "kirchen"),
        ("ru", "кошка", "кошками"),
        ("ru", "Стамбул", "стамбуле"),
        ("fr", "fraise", "fraises"),
        ("es", "fresa", "fresas"),
        ("it", "fragola", "fragole"),
        ("ko", "커피", "커피와"),
        ("tr", "bayrak", "bayrağı"),
    ],
)
def test_some_forms(forms, language, phrase, form):
    assert form in forms[language, phrase]


def test_forms_are_folded_sorted_and_of_other_words(forms):
    assert {language for language, _ in forms} <= set(LANGUAGES)
    for (_, phrase), some in forms.items():
        assert all(form == fold(form) and form.strip("|") for form in some), phrase
        assert fold(phrase) not in some


def test_a_plural_of_something_else_is_no_form(forms):
    assert "glass" not in forms.get(("en", "glasses"), set())
    assert "born" not in forms["en", "bear"]


@pytest.mark.parametrize(
    ("language", "phrase", "form"),
    [
        ("ko", "고양이", "고양이를"),
        ("he", "כלב", "הכלב"),
        ("ja", "猫", None),
        ("en", "a b c d", None),
    ],
)
def test_forms_without_a_list(language, phrase, form):
    assert (inflect(language, phrase) >= {form}) if form else not inflect(language, phrase)


def test_rules_are_known_sorted_and_of_a_language():
    text = (resources.files("pipeline.concepts") / "rules.csv").read_text(encoding="utf-8")
    rows = [tuple(row.values()) for row in csv.DictReader(text.splitlines())]
    assert rows == sorted(set(rows))
    assert {row[0] for row in rows} <= RULES.keys() - {"given name"}
    assert all(row[1] and row[2] for row in rows)


def test_senses_are_of_phrases_that_are_there_and_told_by_other_words():
    rows = read_senses()
    keys = [tuple(row[name] for name in SENSE) for row in rows]
    assert keys == sorted(set(keys))
    columns = load_terms().to_pydict()
    there = {
        (language, phrase.lower(), concept, category)
        for concept, category, language, phrase in zip(*(columns[c] for c in TERM), strict=True)
    }
    assert {key[1:] for key in keys} <= there
    assert {key[0] for key in keys} == {"with", "without"}
    for row in rows:
        words = row["forms"].split("|")
        assert all(words) and len(set(words)) == len(words), row
        assert not any(fold(row["phrase"]).startswith(fold(word)) for word in words), row
    both = Counter(key[1:] for key in keys)
    assert max(both.values()) == 1  # one rule for a phrase of a concept


def test_what_tells_of_senses_has_tokens_that_are_no_beginning_of_the_phrase():
    query = """
    select phrase, word
    from (
        select phrase, ' ' || array_to_string(tokenise(phrase), ' ') as key, unnest(company) as word
        from lexicon_senses
    )
    where length(trim(word)) = 0 or starts_with(key, word)
        or regexp_matches(word, ' [a-zа-я0-9]$') and not regexp_matches(word, '[^\\x00-\\x{24f}]')
    """
    assert connect_lexicon().execute(query).fetchall() == []


def test_what_is_struck_is_nowhere():
    columns = load_terms().to_pydict()
    there = set(zip(*(columns[name] for name in TERM), strict=True))
    struck = list(iter_misnomers())
    assert struck == sorted(set(struck)) and len(struck) > 50
    assert not there & set(struck)
    assert {one[:2] for one in struck} <= {one[:2] for one in there}  # no concept of another name


def test_given_names_are_small_sorted_and_not_repeated():
    names = NAMES.read_text(encoding="utf-8").split("\n")[:-1]
    assert names == sorted(set(names))
    assert {"michael", "chad", "paris", "владимир"} <= set(names)
    assert all(len(name) > 2 and name == name.lower() for name in names)


def test_the_table_has_phrases_and_rules_apart():
    table = load_phrases()
    assert tuple(table.column_names) == COLUMNS
    rows = table.to_pylist()
    senses = ("with", "without")
    assert all((row["rule"] in (None, *senses)) == (row["concept"] is not None) for row in rows)
    named = {row["phrase"] for row in rows if row["language"] == EVERY_LANGUAGE}
    assert "chad" in named


def test_python_folds_as_sql_does():
    connection = connect_lexicon()
    query = "select distinct phrase, fold(phrase) from lexicon where rule is null limit 20000"
    rows = connection.execute(query).fetchall()
    assert [phrase for phrase, folded in rows if fold(phrase) != folded] == []
