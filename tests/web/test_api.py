"""The JSON API: all that its OpenAPI document names answers, and as its schema says."""

from __future__ import annotations

import json
import re

import pytest
from jsonschema import Draft202012Validator

from pipeline.warehouse.connect import connect
from pipeline.web.api.records import Bin, finite

pytestmark = pytest.mark.slow

ORIGIN = {"Origin": "http://127.0.0.1:8600"}


@pytest.fixture(scope="module")
def document(explorer):
    return explorer.get("/api/openapi.json").json()


@pytest.fixture(scope="module")
def place(tiny_warehouse):
    """What the parts of an address are called, of a neuron that has images."""
    with connect(tiny_warehouse) as con:
        row = con.execute(
            """
            select dataset, run_id, layer, unit, example_id from top_examples
            where polarity = 'positive' order by activation desc, layer, unit, example_id limit 1
            """
        ).fetchone()
    return dict(zip(("dataset", "run_id", "layer", "unit", "example_id"), row, strict=True))


def test_every_address_of_the_document_answers_as_its_schema_says(explorer, document, place):
    asked = {"q": "Japan", "query": "select 'nan'::double as n, [1, 2] as l"}
    count = 0
    for path, methods in document["paths"].items():
        if "get" not in methods:
            continue
        operation = methods["get"]
        parameters = operation.get("parameters", [])
        assert all(one["description"] for one in parameters), path
        needed = {
            one["name"]: asked[one["name"]]
            for one in parameters
            if one["in"] == "query" and one["required"]
        }
        answer = explorer.get("/api" + path.format(**place), params=needed)
        assert answer.status_code == 200, answer.text
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        whole = {**schema, "components": document["components"]}
        Draft202012Validator(whole).validate(json.loads(answer.text, parse_constant=pytest.fail))
        count += 1
    assert count == 8


def test_every_field_and_address_is_described_and_stands_on_the_page(explorer, document):
    page = explorer.get("/api")
    assert page.status_code == 200 and "http://" not in page.text.replace("http://127", "")
    for path, methods in document["paths"].items():
        assert f"/api{path}" in page.text
        assert all(operation["description"] for operation in methods.values())
    for name in ("NeuronCard", "NeuronItem", "Run", "Example", "SqlAnswer", "Problem"):
        for field, about in document["components"]["schemas"][name]["properties"].items():
            assert about.get("description"), f"{name}.{field}"
            assert f"<code>{field}</code>" in page.text


def test_a_list_is_filtered_and_paged_as_the_page_is(explorer, place, tiny_warehouse):
    address = "/api/neurons/{dataset}/{run_id}/{layer}".format(**place)
    with connect(tiny_warehouse) as con:
        rows = con.execute(
            "select is_labelled from neuron_labels where layer = $layer",
            {"layer": place["layer"]},
        ).fetchall()
    everything = explorer.get(address).json()
    assert everything["count"] == len(rows)
    found = []
    for page in range(1, everything["page_count"] + 1):
        listed = explorer.get(address, params={"page": page, "sort": "unit"}).json()
        assert listed["page"] == page
        found += [one["unit"] for one in listed["neurons"]]
    assert found == list(range(len(rows)))
    labelled = explorer.get(address, params={"labelled": "yes"}).json()
    assert labelled["count"] == sum(row[0] for row in rows)


def test_a_neuron_is_what_the_views_say_and_its_addresses_answer(explorer, place):
    address = "/api/neurons/{dataset}/{run_id}/{layer}/{unit}".format(**place)
    card = explorer.get(address).json()
    assert (card["layer"], card["unit"]) == (place["layer"], place["unit"])
    top = explorer.get(f"{address}/examples?k=3").json()
    assert [one["example_id"] for one in top] == [one["example_id"] for one in card["top"]][:3]
    assert [one["is_labelled"] for one in top] == [one["is_labelled"] for one in card["top"]][:3]
    for name in (card["page"], card["top"][0]["image"]):
        assert explorer.get(name).status_code == 200
    least = explorer.get(f"{address}/examples?polarity=negative&k=2").json()
    assert [one["example_id"] for one in least] == [one["example_id"] for one in card["bottom"]][:2]


def test_a_search_finds_the_neurons_that_are_called_so_in_any_language(planted, run):
    _, dataset, run_id = run.split("/")
    for word in ("Japan", "日本", "Япония"):
        found = planted.get("/api/search", params={"q": word}).json()
        assert [one["concept"] for one in found[:2]] == ["Japan", "Japan"]
        assert all(one["is_labelled"] and one["unit"] < 20 for one in found)
        scores = [one["score"] for one in found if one["concept"] == "Japan"]
        assert scores == sorted(scores, reverse=True)
    here = {"q": "Japan", "dataset": dataset, "run_id": run_id}
    assert (
        planted.get("/api/search", params=here).json() == planted.get("/api/search?q=Japan").json()
    )
    assert planted.get("/api/search", params={**here, "run_id": "other"}).json() == []
    assert planted.get("/api/search", params={"q": "no such thing"}).json() == []


@pytest.mark.parametrize(
    ("address", "status", "told"),
    [
        ("/api/nothing", 404, "Not Found"),
        ("/api/neurons/x/y/z", 404, "There is no dataset 'x'"),
        ("/api/neurons/{dataset}/{run_id}/{layer}/99999", 404, "has no unit 99999"),
        ("/api/neurons/{dataset}/{run_id}/{layer}/x", 422, "unit: "),
        ("/api/neurons/{dataset}/{run_id}/{layer}/0/examples?k=1000", 422, "k: "),
        ("/api/neurons/{dataset}/{run_id}/{layer}?sort=nothing", 400, "one of: convincing"),
        ("/api/examples/{dataset}/{run_id}/999999999", 404, "has no example"),
        ("/api/concepts/{dataset}/nothing", 404, "There is no run"),
        ("/api/search", 422, "q: "),
        ("/api/search?q=%20", 400, "Nothing is looked for"),
        ("/api/sql?query=drop+view+neuron_labels", 400, "One statement is answered"),
        ("/api/sql?query=from+read_text('x')", 400, "is not answered here"),
    ],
)
def test_errors_are_json_in_one_shape(explorer, place, address, status, told):
    answer = explorer.get(address.format(**place))
    assert answer.status_code == status
    problem = answer.json()
    assert set(problem) == {"message", "hint"}
    assert told in problem["message"] + problem["hint"]


def test_another_sites_page_gets_nothing_and_has_nothing_done(explorer):
    query = {"query": "select 42 as answer"}
    away = {"Sec-Fetch-Site": "cross-site"}
    assert explorer.get("/api/sql", params=query, headers=away).status_code == 400
    assert explorer.post("/api/sql", json=query).status_code == 403, "no Origin"
    assert explorer.post("/api/sql", json=query, headers={"Origin": "http://x"}).status_code == 403
    answer = explorer.post("/api/sql", json=query, headers=ORIGIN)
    assert answer.json()["rows"] == [[42]]
    headers = explorer.get("/api/runs", headers={"Origin": "http://x"}).headers
    assert not [name for name in headers if name.startswith("access-control")]


def test_numbers_that_are_none_are_null():
    assert Bin(left_sd=float("-inf"), right_sd=float("nan"), images=[]).model_dump_json() == (
        '{"left_sd":null,"right_sd":null,"images":[]}'
    )
    assert finite({"a": [float("nan"), (1.5,)]}) == {"a": [None, [1.5]]}


def test_all_pages_lead_to_the_document(explorer):
    assert re.search(r'href="/api/openapi.json"', explorer.get("/api").text)
