"""People are told by the openings of their pages, in many languages."""

import pytest
from sql_world import empty_world

VIEWS = (
    "text_matches",
    "text_concepts",
    "title_people",
    "image_texts",
    "named_concepts",
    "example_concepts",
)
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


def world_of(*texts):
    world = empty_world(VIEWS)
    names = "example_id language text_kind text_rank text page_title"
    world.add("stg_texts", names, *texts)
    return world


@pytest.mark.parametrize(("language", "title", "text"), PEOPLE)
def test_people_are_found_by_their_pages(language, title, text):
    query = "select concept, category, origin, evidence_language from example_concepts"
    found = world_of((3, language, "page", 1, text, title)).rows(query)
    assert found == [(title, "person", "page_title", language)]


@pytest.mark.parametrize(("language", "title", "text"), THINGS)
def test_things_are_not_people(language, title, text):
    world = world_of((3, language, "page", 1, text, title))
    assert world.rows("select concept, evidence from title_people") == []


def test_people_come_from_page_texts_only_and_are_counted():
    born = "X Y (born 4 May 1950) is"
    world = world_of(
        (1, "en", "caption", 1, born, "X Y"),
        (2, "en", "page", 1, born, " X Y "),
        (2, "de", "page", 1, "X Y (* 4. Mai 1950) ist", "X Y"),
        (2, "en", "page", 2, born, "X Y"),
    )
    query = "select example_id, concept, text_count, language_count, evidence from example_concepts"
    assert world.rows(query) == [(2, "X Y", 3, 2, "(* 4. Mai 1950")]
