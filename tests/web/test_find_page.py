"""The search: what words may mean, what their images say, and what the model itself makes of them."""

from __future__ import annotations

import re

import pytest
from textures import LAYERS, WORDS

from pipeline.web.door import Door
from pipeline.web.meanings import find_meanings

pytestmark = pytest.mark.slow

HTMX = {"HX-Request": "true", "Origin": "http://127.0.0.1:8600"}


def _options(explorer, text: str, **headers: str) -> list[str]:
    answer = explorer.get(
        "/search", params={"q": text, "part": "suggestions"}, headers={**HTMX, **headers}
    )
    assert answer.status_code == 200 and "<html" not in answer.text
    return re.findall(r'role="option"[^>]*href="([^"]+)"', answer.text)


@pytest.mark.parametrize(
    ("concept", "words"),
    [
        ("Japan", ("Japan", "japon", "日本", "Япония", "jap", "JAPÓN", "اليابان")),
        ("cat", ("cat", "Katze", "chat", "кошка", "katz")),
        ("dog", ("dog", "Hund", "собака")),
        ("red", ("red", "rouge", "rot")),
        ("guitar", ("guitar", "Gitarre", "ギター", "guit")),
    ],
)
def test_a_concept_is_found_in_any_language_and_by_its_beginning(planted, run, concept, words):
    for text in words:
        first = _options(planted, text)[0]
        assert first.startswith(run) and first.endswith(f"/{concept}"), text
    page = planted.get("/search", params={"q": words[-1]}).text
    assert re.search(rf'href="[^"]+/{concept}">{concept}</a>', page)
    assert f"{4 * len(LAYERS)} neurons" in page
    links = re.findall(rf'href="({run}/[^"/]+/\d+)"', page)
    assert WORDS.index(concept) in {int(link.rsplit("/", 1)[1]) % 5 for link in links}


def test_the_list_of_a_layer_is_filtered_by_the_same_words(planted, run):
    layer = next(link for link in planted.get(run).text.split('"') if link.startswith(f"{run}/v"))

    def count(**asked: str) -> str:
        return re.search(r"<b>([\d,]+)</b> neuron", planted.get(layer, params=asked).text)[1]

    expected = count(concept="Japan")
    assert expected != "0"
    assert {count(q=text) for text in ("JAPÓN", "Япония", "японии", "日本")} == {expected}
    assert count(q="giraffe") == count(q="%") == "0"


def test_a_concept_that_labels_nothing_is_not_offered(explorer, planted):
    assert _options(planted, "giraffe") == ["/search?q=giraffe"]
    assert _options(explorer, "cat") == ["/search?q=cat"], "a random model's neurons have no label"
    assert "No label is called so" in explorer.get("/search?q=cat").text


def test_any_text_may_be_typed_and_what_is_opened_again_knows_as_much(planted_door):
    with planted_door.cursor() as cursor:
        first = find_meanings(cursor, "Katze", 5).concepts[0]
        assert (first.concept, first.phrase, first.language) == ("cat", "Katze", "de")
        for text in ("", " ", "%'\"\0;--", "😀", "%"):
            assert find_meanings(cursor, text, 5) == ([], [], []), text
    again = Door(planted_door.warehouse)
    again.open_again()
    with again.cursor() as cursor:
        assert find_meanings(cursor, "1", 9).neurons


def test_a_number_is_a_neuron(explorer, run):
    assert set(_options(explorer, "3")) >= {
        link for link in _options(explorer, "unit 3") if link.startswith(run)
    }
    answer = explorer.get("/search?q=layer3+5", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"].endswith("visual.layer3.0:output:max/5")
    assert explorer.get(answer.headers["location"]).status_code == 200
    several = explorer.get("/search?q=5", follow_redirects=False)
    assert several.status_code == 200 and "Neurons of that number" in several.text
    assert _options(explorer, "layer3 99999999")[0].startswith("/search")


def test_the_run_of_the_page_comes_first(tiny_warehouse):
    door = Door(str(tiny_warehouse))
    with door.cursor() as cursor:
        cursor.execute(
            """
            create table label_counts as
            from (values ('a', 'r', 'animal', 'cat', 9), ('b', 's', 'animal', 'cat', 1))
                as t (dataset, run_id, category, concept, neuron_count);
            create table label_phrases as
            from (values ('cat', 'animal', ' cat', 'cat', ''))
                as t (concept, category, phrase_key, phrase, language)
            """
        )
        for here, expected in ((("", ""), "ab"), (("b", "s"), "ba"), (("b", "r"), "ab")):
            found = find_meanings(cursor, "cat", 5, here)
            assert "".join(one.dataset for one in found.concepts) == expected
            also = find_meanings(cursor, "ani", 5, here)
            assert "".join(one.dataset for one in also.categories) == expected


def test_images_whose_texts_hold_the_words_are_shown(explorer, run):
    part = explorer.get("/search", params={"q": "from number 17", "part": "texts"}).text
    assert "A red, seen from number 17" not in part  # 17 % 5 == 2: Japan
    assert "A Japan, seen from number 17" in part and "1 image" in part
    assert re.findall(r'href="([^"]+)"', part)[0].startswith(f"{run}/example/")
    many = explorer.get("/search", params={"q": "SEEN FROM", "part": "texts"}).text
    assert many.count("<li>") == 36 and "shortest" in many
    assert "No text" in explorer.get("/search?q=zebra&part=texts").text
    assert "Nothing" in explorer.get("/search?q=&part=texts").text


def test_what_is_searched_for_is_shown_and_never_run(explorer):
    text = "<script>alert(1)</script>\u202e"
    for part in ("", "suggestions", "texts"):
        answer = explorer.get("/search", params={"q": text, "part": part})
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text and "\u202e" not in answer.text


def test_the_model_itself_is_asked(explorer, run):
    """It has random weights: what it says is the command's, not sensible."""
    address = f"/search?q=a+photo+of+a+cat&run={run.lstrip('/')}"
    part = explorer.post(address, headers=HTMX)
    assert part.status_code == 200 and "<html" not in part.text
    assert "By correlation with the similarity" in part.text and "By the weights" in part.text
    for link in re.findall(r'href="([^"]+)"', part.text)[::12]:
        assert explorer.get(link).status_code == 200
    whole = explorer.post(address, headers={"Origin": HTMX["Origin"]})
    assert "<html" in whole.text and "By the weights" in whole.text, "without a script too"
    assert explorer.post(address).status_code == 403, "another site's page cannot load models"


def test_a_model_that_says_nothing_says_why(explorer, run):
    place = run.lstrip("/")
    empty = explorer.post(f"/search?q=+&run={place}", headers=HTMX)
    assert empty.status_code == 200 and 'class="warn"' in empty.text
    nowhere = explorer.post("/search?q=cat&run=nothing/here", headers=HTMX)
    assert "There is no dataset" in nowhere.text or "There is no run" in nowhere.text
