"""Concepts of given texts, and why; by the shipped lexicon."""

import pytest

from pipeline.warehouse.matching import Text, connect_lexicon, explain, find_concepts


@pytest.fixture(scope="module")
def lexicon():
    with connect_lexicon() as connection:
        yield connection


def test_concepts_of_several_texts_at_once(lexicon):
    texts = [
        Text("Two black cats in Turkey"),
        Text("Коровы в Японии", "ru"),
        Text("Nothing of the kind"),
        Text("Ada Lovelace (born 1815) was a mathematician.", "en", "page", "Ada Lovelace"),
    ]
    found = [{one.concept for one in some} for some in find_concepts(texts, lexicon)]
    assert found == [{"two", "black", "cat", "Turkey"}, {"cow", "Japan"}, set(), {"Ada Lovelace"}]


def test_explain_says_what_is_found_and_by_which_rule_the_rest_is_refused(lexicon):
    told = explain("Chad Smith eats a turkey beside wolves", "en", lexicon)
    assert [(one.words, one.concept, one.refused_by) for one in told] == [
        ("chad", "Chad", "name of a person"),
        ("turkey", "Turkey", "spelling"),
        ("turkey", "turkey bird", None),
        ("wolves", "wolf", None),
    ]
    assert [one.is_form for one in told] == [False, False, False, True]


def test_explain_of_an_empty_text(lexicon):
    assert explain("", "en", lexicon) == []
