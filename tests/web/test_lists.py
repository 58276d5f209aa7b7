"""Lists in the explorer: chosen neurons in the address, their neighbours, CSV, a neuron at random."""

from __future__ import annotations

import csv
import html
import io
import re
import shlex

import pytest
from textures import WORDS

pytestmark = pytest.mark.slow

POST = "transformer.resblocks.1.mlp.gelu:output:cls"
MAX = "visual.layer3.0:output:max"


@pytest.fixture(scope="module")
def place(run) -> str:
    return run.lstrip("/")


def _units(text: str, layer: str) -> list[int]:
    return list(dict.fromkeys(map(int, re.findall(rf'href="/[^"]*/{layer}/(\d+)[?"]', text))))


@pytest.mark.parametrize("view", ["grid", "table"])
def test_a_list_shows_its_neurons_of_any_layer_and_says_which_are_not_there(planted, place, view):
    text = f"{place}/{MAX}:2-4,21,99999;{POST}:7"
    page = planted.get("/list", params={"list": text, "name": "A <b> list", "view": view}).text
    assert sorted(_units(page, MAX)) == [2, 3, 4, 21] and _units(page, POST) == [7]
    assert "A &lt;b&gt; list" in page and "A <b> list" not in page
    assert "<b>5</b> neurons" in page and "1 of 6 is not in this warehouse" in page
    some = planted.get("/list", params={"list": text, "concept": "Japan", "view": view}).text
    expected = [unit for unit in (2, 3, 4, 21) if unit < 20 and WORDS[unit % 5] == "Japan"]
    assert _units(some, MAX) == expected
    part = planted.get("/list", params={"list": text}, headers={"HX-Request": "true"}).text
    assert "<html" not in part and _units(part, POST) == [7]


def test_a_neuron_is_taken_out_by_a_link(planted, place):
    page = planted.get("/list", params={"list": f"{place}/{MAX}:1,2", "name": "two"}).text
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="([^"]+)" data-drop', page)]
    assert sorted(links) == [f"/list?list={place}/{MAX}:{unit}&name=two" for unit in (1, 2)]
    assert _units(planted.get(links[0]).text, MAX) in ([1], [2])


def test_arrows_stay_within_the_list_that_led_to_a_neuron(planted, run, place):
    text = f"{place}/{MAX}:2,9"
    page = planted.get("/list", params={"list": text, "name": "pair"}).text
    (link,) = set(re.findall(rf'href="([^"]+{MAX}/9\?[^"]+)"', page))
    neuron = planted.get(link.replace("&amp;", "&")).text
    for arrow in ("prev", "next"):
        assert re.search(rf'{MAX}/2\?list={re.escape(text)}&amp;name=pair" data-{arrow}', neuron)
    assert "2 of 2" in neuron and f'data-up="/list?list={text}&amp;name=pair"' in neuron
    other = planted.get(f"{run}/{MAX}/5?list={text}").text
    assert f'{MAX}/6" data-next' in other, "one that is not on it goes through its layer"


def test_any_list_is_a_csv_file(planted, run, place):
    answer = planted.get(f"{run}/{MAX}?format=csv&labelled=yes&sort=unit")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["unit"]) for row in rows] == list(range(20)), "filtered, sorted, all pages"
    assert [row["concept"] for row in rows[:5]] == list(WORDS)
    text = f"{place}/{MAX}:3,1;{POST}:2"
    rows = list(csv.DictReader(io.StringIO(planted.get(f"/list?list={text}&format=csv").text)))
    assert sorted((row["layer"], int(row["unit"])) for row in rows) == [
        (POST, 2),
        (MAX, 1),
        (MAX, 3),
    ]
    whole = list(csv.DictReader(io.StringIO(planted.get(f"{run}/{MAX}?format=csv").text)))
    assert len({row["unit"] for row in whole}) == len(whole) > 48


def test_a_list_says_the_command_that_makes_a_site_of_it(planted, place):
    def command(listed: str) -> list[str]:
        page = planted.get("/list", params={"list": listed}).text
        return shlex.split(html.unescape(re.search(r"<code>(neurons site [^<]+)<", page)[1]))

    dataset, run_id = place.split("/")
    of_layer = ["--dataset", dataset, "--run", run_id, "--layer", MAX]
    said = command(f"{place}/{MAX}:1,3")
    assert said == [
        "neurons",
        "site",
        "--out",
        "site",
        *of_layer,
        "--neurons",
        "1,3",
        "--warehouse",
        "warehouse",
    ]
    assert "neurons.csv" in command(f"{place}/{MAX}:3;{POST}:2")


def test_what_is_no_list_is_told_and_an_empty_one_says_how_to_fill_it(planted):
    assert planted.get("/list?list=nonsense").status_code == 400
    empty = planted.get("/list")
    assert empty.status_code == 200 and "star" in empty.text
    assert planted.get("/list?list=no/such/layer:1").status_code == 200


def test_a_neuron_at_random_is_a_labelled_one_if_there_is_one(planted, explorer, run):
    for client, is_any in ((planted, False), (explorer, True)):
        for _ in range(4):
            answer = client.get(f"/random?layer={MAX}", follow_redirects=False)
            assert answer.status_code == 303
            layer, unit = answer.headers["location"].rsplit("/", 2)[1:]
            assert layer == MAX and (is_any or int(unit) < 20)
    page = planted.get(f"{run}/{MAX}/3").text
    assert "data-random" in page and f"layer={MAX}" in page and "data-star" in page
