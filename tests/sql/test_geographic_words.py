"""A neuron is geographic if the five words of a language that excite it most all name places."""

from __future__ import annotations

from sql_world import empty_world


def test_five_words_of_each_language_are_asked():
    world = empty_world(("geographic_words",))

    def add(unit: int, language: str, categories: str, first: int = 1) -> None:
        named = {"r": "region", "a": "animal", "-": None}
        world.add(
            "top_words",
            "word_rank word category",
            *((first + n, f"w{n}", named[c]) for n, c in enumerate(categories)),
            unit=unit,
            language=language,
        )

    add(0, "en", "rrrrra")  # the sixth is not asked
    add(0, "de", "arrrrr", first=7)  # the first of its language is the first of it
    add(1, "en", "rrrr")  # fewer than five
    add(2, "en", "-rrrr")
    got = world.rows(
        "select unit, language, word_count, geographic_count, is_geographic, words "
        "from geographic_words order by all"
    )
    five = "w0, w1, w2, w3, w4"
    assert got == [
        (0, "de", 5, 4, False, five),
        (0, "en", 5, 5, True, five),
        (1, "en", 4, 4, False, "w0, w1, w2, w3"),
        (2, "en", 5, 4, False, five),
    ]
