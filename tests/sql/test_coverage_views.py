"""How much the lexicon can name in a language, and in how many images texts of it do."""

import pytest
from sql_world import empty_world

VIEWS = (
    "lexicon_coverage",
    "lexicon_phrases",
    "lexicon_rules",
    "text_tokens",
    "text_spans",
    "text_matches",
    "text_concepts",
    "named_concepts",
    "image_texts",
    "example_concepts",
    "text_coverage",
)
LEXICON = [
    ("cat", "animal", "en", "cat"),
    ("dog", "animal", "en", "dog"),
    ("cat", "animal", "de", "Katze"),
    ("cat", "animal", "de", "Kater"),
    ("kea", "animal", "de", "Kea"),
    ("Japan", "region", "de", "Japan"),
]


@pytest.fixture
def world():
    world = empty_world(VIEWS)
    world.add("lexicon", "concept category language phrase", *LEXICON)
    return world


def test_the_share_is_of_what_english_names(world):
    rows = world.rows(
        "select language, category, concept_count, english_concept_count, covered_frac, phrase_count "
        "from lexicon_coverage order by all"
    )
    assert rows == [
        ("de", "animal", 2, 2, 0.5, 3),
        ("de", "region", 1, 0, None, 1),
        ("en", "animal", 2, 2, 1.0, 2),
    ]


def test_images_are_counted_by_the_language_of_their_texts(world):
    texts = [
        (1, "de", 1, "Katze und Kater"),
        (1, "en", 1, "nothing"),
        (2, "de-AT", 1, "ein Hund"),
        (2, "de", 2, "Japan"),
        (3, "et", 1, "kass"),
    ]
    world.add(
        "stg_texts", "example_id language text_rank text", *texts, text_kind="caption", dataset="d"
    )
    images = [(example,) for example in (1, 2, 3)]
    world.add("stg_distinct_images", "example_id", *images, dataset="d", run_id="r")
    rows = world.rows(
        "select language, category, image_count, concept_image_count, concept_frac, "
        "lexicon_concept_count from text_coverage order by all"
    )
    assert rows == [
        ("de", "animal", 2, 1, 0.5, 2),
        ("de", "region", 2, 1, 0.5, 1),
        ("en", "animal", 1, 0, 0.0, 2),
        ("en", "region", 1, 0, 0.0, 0),
        ("et", "animal", 1, 0, 0.0, 0),
        ("et", "region", 1, 0, 0.0, 0),
    ]
