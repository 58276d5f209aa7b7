"""A blind sample of neurons: who fills it cannot tell which is which, and the answers come back as said."""

from __future__ import annotations

import csv
import json
from collections import Counter

import pytest
from PIL import Image
from report_world import Page

from pipeline.base.errors import ConfigError, SourceError, WarehouseError
from pipeline.base.question_settings import NeuronSampleOptions
from pipeline.base.storage import Store
from pipeline.labelling.sample import export_sample, read_judged
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import FoundLayer, find_layers

OPTIONS = NeuronSampleOptions(count=6, shams=3, images=5, seed=4)


@pytest.fixture(scope="module")
def con(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        yield connection


@pytest.fixture(scope="module")
def sheet(con, tiny_warehouse, tmp_path_factory):
    out = tmp_path_factory.mktemp("sample") / "sheet"
    layer = find_layers(con)[-1]
    return out, layer, export_sample(con, Store(tiny_warehouse), layer, out, OPTIONS)


def answer(folder, **said: str) -> None:
    """Fill the sheet: by item; a name is ``i`` and its number."""
    path = folder / "labels.csv"
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "label": said.get(f"i{row['item']}", "")} for row in rows)


def test_neurons_have_their_strongest_images_and_the_others_any(sheet, con):
    _, layer, key = sheet
    units = [item.get("unit") for item in key["items"]]
    assert Counter(unit is None for unit in units) == {False: 6, True: 3}
    assert len(set(units) - {None}) == 6
    for item in key["items"]:
        if "unit" in item:
            top = con.execute(
                "select example_id from top_examples where run_id = $run_id and layer = $layer "
                "and unit = $unit and polarity = 'positive' and example_rank <= 5",
                {"run_id": layer.run_id, "layer": layer.layer, "unit": item["unit"]},
            ).fetchall()
            assert sorted(item["example_ids"]) == sorted(i for (i,) in top)
        else:
            assert 0 < len(set(item["example_ids"])) == len(item["example_ids"]) <= 5


def test_nothing_that_a_person_sees_says_which_is_which(sheet):
    out, _, key = sheet
    page = Page((out / "index.html").read_text(encoding="utf-8"))
    told = json.dumps([page.tags, page.words]) + (out / "labels.csv").read_text()
    for item in key["items"]:
        assert all(str(i) not in told for i in item["example_ids"] if i > 10**6)
    sizes: dict[bool, set[tuple[int, int]]] = {True: set(), False: set()}
    for item in key["items"]:
        with Image.open(out / item["image"]) as image:
            sizes["unit" in item].add(image.size)
    assert sizes[False] <= sizes[True], "a set at random is as large as a neuron's"
    assert "neurons paper" in page.text
    assert page.text.count(" shows ") == len(key["items"])


def test_the_same_seed_draws_the_same_and_another_seed_others(sheet, con, tiny_warehouse, tmp_path):
    _, layer, key = sheet
    store = Store(tiny_warehouse)
    assert export_sample(con, store, layer, tmp_path / "same", OPTIONS) == key
    other = NeuronSampleOptions(count=6, shams=3, images=5, seed=5)
    assert export_sample(con, store, layer, tmp_path / "other", other)["items"] != key["items"]


def test_answers_come_back_by_neuron_and_an_empty_one_is_left_out(sheet):
    out, _, key = sheet
    neurons = [item for item in key["items"] if "unit" in item]
    shams = [item["item"] for item in key["items"] if "unit" not in item]
    answer(out, **{f"i{neurons[0]['item']}": "stripes", f"i{neurons[1]['item']}": "none",
                   f"i{shams[0]}": "none"})  # fmt: skip
    judged = read_judged(out)
    assert judged.answers == {neurons[0]["unit"]: "stripes", neurons[1]["unit"]: "none"}
    assert judged.sham_answers == ("none",)


def test_a_sheet_without_answers_a_wrong_line_and_no_sheet_say_what_to_do(sheet, tmp_path):
    out, _, key = sheet
    answer(out)
    with pytest.raises(SourceError, match="no answer for any neuron"):
        read_judged(out)
    with pytest.raises(SourceError, match="neurons label sample wrote"):
        read_judged(tmp_path)
    row = f"{key['sample']},77,images/x.png,a,\n"
    with (out / "labels.csv").open("a", encoding="utf-8") as file:
        file.write(row)
    with pytest.raises(SourceError, match="there is no item '77'"):
        read_judged(out)


def test_a_damaged_key_is_named(tmp_path):
    (tmp_path / "sample.json").write_text('{"sample": 3}')
    with pytest.raises(SourceError, match="not the key of a sample"):
        read_judged(tmp_path)


def test_a_sheet_is_never_written_over(sheet, con, tiny_warehouse):
    out, layer, _ = sheet
    with pytest.raises(ConfigError, match="no answers are lost"):
        export_sample(con, Store(tiny_warehouse), layer, out, OPTIONS)


def test_a_layer_without_top_images_says_what_to_do(con, tiny_warehouse, tmp_path):
    nowhere = FoundLayer("d", "none", "layer", 3)
    with pytest.raises(WarehouseError, match="neurons build"):
        export_sample(con, Store(tiny_warehouse), nowhere, tmp_path / "s", OPTIONS)
