"""The explorer's pages: they answer, and say what the views say."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image
from starlette.testclient import TestClient
from textures import write_textures

from pipeline.base.settings import IngestConfig, IngestStep
from pipeline.sources.ingest import ingest
from pipeline.warehouse.connect import connect
from pipeline.web.app import make_app
from pipeline.web.door import Door
from pipeline.web.guard import LOOPBACK
from pipeline.web.neuron_filter import COLUMNS
from pipeline.web.neurons import PAGE_SIZE
from pipeline.web.pages.neuron import PANELS

pytestmark = pytest.mark.slow


def _layers(explorer, run) -> list[str]:
    return sorted(set(re.findall(rf'href="({re.escape(run)}/[^"/?]+)"', explorer.get(run).text)))


def test_the_overview_counts_as_the_summary_does(explorer, tiny_warehouse):
    page = explorer.get("/")
    assert page.status_code == 200
    with connect(tiny_warehouse) as con:
        for dataset, run_id, neurons, labelled in con.execute(
            "select dataset, run_id, neuron_count, labelled_count from run_summary"
        ).fetchall():
            assert f"/{dataset}/{run_id}" in page.text
            assert f"{neurons:,}" in page.text and f"{labelled:,}" in page.text


@pytest.mark.parametrize("view", ["grid", "table"])
def test_every_neuron_of_a_layer_is_on_some_page_of_its_list_once(explorer, run, view):
    for layer in _layers(explorer, run):
        units: list[int] = []
        for page in range(1, 40):
            text = explorer.get(f"{layer}?view={view}&page={page}").text
            found = re.findall(rf'href="{re.escape(layer)}/(\d+)"', text)
            units += dict.fromkeys(map(int, found))
            if "data-next" not in text:
                break
        assert len(units) <= PAGE_SIZE * page
        assert sorted(units) == list(range(len(units)))


def test_a_list_is_sorted_by_every_column_and_what_is_null_comes_last(explorer, run):
    layer = _layers(explorer, run)[0]
    for column in COLUMNS:
        for order in ("asc", "desc"):
            page = explorer.get(f"{layer}?view=table&sort={column}&order={order}")
            assert page.status_code == 200
            assert f'aria-sort="{order}ending"' in page.text
    text = explorer.get(f"{layer}?view=table&sort=unit&order=desc").text
    units = list(dict.fromkeys(map(int, re.findall(rf'{re.escape(layer)}/(\d+)"', text))))
    assert units == sorted(units, reverse=True) and len(units) > 1


def test_filters_ask_what_they_say(explorer, run, tiny_warehouse):
    layer = _layers(explorer, run)[0]
    name = layer.rsplit("/", 1)[1]
    with connect(tiny_warehouse) as con:
        rows = con.execute(
            "select unit, is_labelled, concept, category from neuron_labels where layer = $name",
            {"name": name},
        ).fetchall()
    count = sum(row[1] for row in rows)
    text = explorer.get(f"{layer}?labelled=yes").text
    assert f"<b>{count}</b> neuron" in text
    for concept in {row[2] for row in rows if row[1]}:
        expected = sum(row[2] == concept for row in rows)
        assert f"<b>{expected}</b> neuron" in explorer.get(layer, params={"concept": concept}).text
    assert "<b>0</b> neurons" in explorer.get(f"{layer}?q=no+such+thing").text
    assert "<b>1</b> neuron" in explorer.get(f"{layer}?q=0").text, "a number is a unit"


def test_a_part_of_a_list_is_not_a_page(explorer, run):
    layer = _layers(explorer, run)[0]
    part = explorer.get(layer, headers={"HX-Request": "true"})
    assert "<html" not in part.text and 'id="found"' in part.text


def test_every_panel_stands_on_the_whole_page_and_alone(explorer, run):
    neuron = _layers(explorer, run)[0] + "/0"
    whole = explorer.get(f"{neuron}?whole=1").text
    for panel in PANELS:
        alone = explorer.get(f"{neuron}?panel={panel.name}")
        assert alone.status_code == 200 and "<html" not in alone.text
        assert f'id="{panel.name}"' in alone.text and f'id="{panel.name}"' in whole
        framed = explorer.get(f"{neuron}?panel={panel.name}&embed=true")
        assert "<html" in framed.text and "<nav" not in framed.text
    assert "hx-get" not in whole.partition("<main")[2], "nothing is left to fetch"


def test_images_are_squares_of_the_size_that_is_asked_for(explorer, run):
    neuron = _layers(explorer, run)[0] + "/0"
    found = re.findall(r'src="(/image/[^"]+)"', explorer.get(neuron).text)
    assert found
    with Image.open(io.BytesIO(explorer.get(found[0].replace("&amp;", "&")).content)) as image:
        assert image.size == (96, 96)
    _, dataset, run_id, layer, unit = neuron.split("/")
    strip = explorer.get(f"/strip/{dataset}/{run_id}/{layer}/{unit}.webp?n=3")
    with Image.open(io.BytesIO(strip.content)) as image:
        assert image.size == (216, 72)


def test_a_random_neuron_is_one_of_the_warehouse(explorer):
    answer = explorer.get("/random", follow_redirects=False)
    assert answer.status_code == 303
    assert explorer.get(answer.headers["location"]).status_code == 200


@pytest.mark.parametrize(
    ("address", "status", "told"),
    [
        ("/nothing/here", 404, "There is no dataset"),
        ("{run}/no.such.layer", 404, "has a layer"),
        ("{layer}/99999", 404, "has no unit 99999"),
        ("{layer}/0?panel=nothing", 400, "Panels: top"),
        ("{layer}?sort=nothing", 400, "one of: convincing, unit"),
        ("{layer}?order=desc;drop", 400, "one of: asc, desc"),
        ("{layer}?sort=score&order=desc+limit+1+--", 400, "one of: asc, desc"),
        ("{layer}?view=list", 400, "one of: grid, table"),
        ("{layer}?support=many", 400, "A number is expected"),
        ("/image/{dataset}/999999999.webp", 404, "has no example"),
        ("/image/{dataset}/0.webp?size=97", 400, "Sides are"),
        ("/static/..%2Fapp.py", 404, ""),
        ("/static/%2e%2e%2fapp.py", 404, ""),
    ],
)
def test_what_is_not_there_is_told(explorer, run, address, status, told):
    layer = _layers(explorer, run)[0]
    dataset = run.split("/")[1]
    answer = explorer.get(address.format(run=run, layer=layer, dataset=dataset))
    assert answer.status_code == status
    assert told in answer.text


def test_a_warehouse_without_a_run_says_what_makes_one(tmp_path):
    tars = write_textures(tmp_path / "tars")
    place = str(tmp_path / "warehouse")
    ingest(IngestConfig(place, "textures"), IngestStep("webdataset", (str(tars),)))
    with TestClient(make_app(Door(place), LOOPBACK), base_url="http://127.0.0.1:8600") as client:
        page = client.get("/")
        assert page.status_code == 200 and "neurons extract" in page.text
        assert "0 runs" not in page.text
