"""The concepts of the tiny CLIP: how many, named by the lexicon, and drawn."""

import re
from collections import Counter

import pytest

from pipeline.base.errors import SourceError
from pipeline.concepts.lexicon import load_lexicon
from pipeline.nano.concepts import LANGUAGES, load_concepts, read_concepts
from pipeline.stimuli.drawings import load_openmoji, plain_emoji

HEADER = "concept,category,emoji,en,es,fr,de\n"
DOG = "dog,animal,🐶 🐕,dog,perro,chien,Hund\n"


def test_counts():
    concepts = load_concepts()
    counts = Counter(concept.category for concept in concepts)
    assert 256 <= len(concepts) <= 270
    assert counts["region"] >= 50
    assert counts["emotion"] >= 30
    assert min(counts["animal"], counts["food"], counts["object"]) >= 35
    assert counts["color"] == 9
    assert all(1 <= len(concept.emoji) <= 3 for concept in concepts)
    assert load_concepts() is concepts


def test_names_and_emoji_stand_for_one_concept():
    concepts = load_concepts()
    emoji = [plain_emoji(one) for concept in concepts for one in concept.emoji]
    assert len(set(emoji)) == len(emoji)
    assert len({concept.concept for concept in concepts}) == len(concepts)


def test_a_word_means_one_thing_in_all_languages():
    meanings = {}
    for concept in load_concepts():
        for word in concept.words.values():
            meanings.setdefault(word.lower(), set()).add(concept.concept)
    assert {word: names for word, names in meanings.items() if len(names) > 1} == {}


def test_the_lexicon_has_every_word():
    rows = {
        (row["concept"], row["category"], row["language"], row["phrase"].lower())
        for row in load_lexicon().to_pylist()
    }
    wanted = {
        (concept.concept, concept.category, language, word.lower())
        for concept in load_concepts()
        for language, word in concept.words.items()
    }
    assert sorted(wanted - rows) == []


def test_openmoji_draws_every_emoji():
    drawn = load_openmoji().drawings
    emoji = [one for concept in load_concepts() for one in concept.emoji]
    assert [one for one in emoji if plain_emoji(one) not in drawn] == []


def test_reading():
    (dog,) = read_concepts(HEADER + DOG)
    assert (dog.concept, dog.category, dog.emoji) == ("dog", "animal", ("🐶", "🐕"))
    assert dog.words == dict(zip(LANGUAGES, ("dog", "perro", "chien", "Hund"), strict=True))


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (DOG + DOG, "concept stands twice: dog"),
        (DOG + "wolf,animal,🐕,wolf,lobo,loup,Wolf\n", "emoji stands twice: 🐕"),
        (DOG + "wolf,animal,🐺,wolf,lobo,chien,Wolf\n", "word (fr) stands twice: chien"),
        ("dog,animal,🐶,dog,perro,,Hund\n", "'dog' lacks a word"),
        ("dog,animal,,dog,perro,chien,Hund\n", "lacks a field"),
    ],
)
def test_a_bad_file_is_refused(rows, problem):
    with pytest.raises(SourceError, match=re.escape(problem)):
        read_concepts(HEADER + rows)
