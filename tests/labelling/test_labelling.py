"""Sheets for people: exported blind, read back with care; and the published Trump neuron, replayed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from labels import LAYER, export, fill, lively_unit, run

from pipeline.base.storage import Store
from pipeline.labelling.files import read_labels
from pipeline.labelling.sheet import bin_samples
from pipeline.upkeep.build import build
from pipeline.upkeep.check import check, run_violations
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_neuron
from pipeline.warehouse.images import IMAGE_COLUMNS, read_image

pytestmark = pytest.mark.slow


def test_from_export_to_probabilities(place, tmp_path):
    sheet = tmp_path / "sheet"
    unit = lively_unit(place)
    output = export(place, sheet, unit=unit)
    key = json.loads((sheet / "sheet.json").read_text())
    assert key["unit"] == unit and key["sheet"] in output
    example_ids = {entry["item"]: entry["example_id"] for entry in key["items"]}
    with connect(place) as connection:
        sampled = dict(
            connection.execute(
                "select example_id, sd_bin from neuron_samples "
                "where layer = $layer and unit = $unit and sample_rank <= 4",
                {"layer": key["layer"], "unit": unit},
            ).fetchall()
        )
    assert set(example_ids.values()) == set(sampled)
    assert len(set(sampled.values())) > 2

    rows = fill(sheet, lambda item: ("", "stripes", "blobs")[item % 3])
    unlabelled = sum(row["label"] == "" for row in rows)
    output = run(place, "label", "import", sheet, "--labeller", "ann")
    counted = len(rows) - unlabelled
    assert f"{len(rows)} read = {counted} imported + {unlabelled} not labelled + 0" in output

    expected = {}
    for row in rows:
        if row["label"]:
            sd_bin = sampled[example_ids[int(row["item"])]]
            for label in ("stripes", "blobs"):
                hits, trials = expected.get((label, sd_bin), (0, 0))
                expected[label, sd_bin] = (hits + (row["label"] == label), trials + 1)
    with connect(place) as connection:
        got = connection.execute(
            "select category, sd_bin, hit_count, sample_count from conditional_probabilities "
            "where origin = 'human' and labeller = 'ann' and unit = $unit",
            {"unit": unit},
        ).fetchall()
    assert {(label, sd_bin): (hits, n) for label, sd_bin, hits, n in got} == expected
    assert len(got) == len(expected)
    assert build(place).was_current, "no mart rests on labels"
    assert run_violations(check(place)) == 0
    script = (place / "views.sql").read_text()
    assert "human_labels/layer=" in script


def test_a_sheet_is_blind_and_the_same_again(place, tmp_path):
    export(place, tmp_path / "one")
    export(place, tmp_path / "two")
    export(place, tmp_path / "other", seed=1)
    one, two, other = (
        json.loads((tmp_path / name / "sheet.json").read_text()) for name in ("one", "two", "other")
    )
    assert one == two
    assert one["sheet"] != other["sheet"]
    ids = [entry["example_id"] for entry in one["items"]]
    assert sorted(ids) == sorted(entry["example_id"] for entry in other["items"])
    assert ids != [entry["example_id"] for entry in other["items"]]
    with connect(place) as connection:
        neuron = find_neuron(connection, LAYER, one["unit"])
        strength = {
            example_id: value
            for each in bin_samples(connection, neuron, 4)
            for example_id, value in zip(each.example_ids, each.activations_sd, strict=True)
        }
        images = connection.execute(
            f"select example_id, {IMAGE_COLUMNS}, shard_key from examples "
            "inner join shards using (dataset, shard_ordinal)"
        ).fetchall()
    order = [strength[example_id] for example_id in ids]
    assert order != sorted(order) and order != sorted(order, reverse=True)
    stored = {i: (read_image(Store(place), *where), key) for i, *where, key in images}
    page = (tmp_path / "one/index.html").read_text(encoding="utf-8")
    told = re.sub(r"base64,[^\"]*", "", page) + (tmp_path / "one/labels.csv").read_text()
    for entry in one["items"]:
        data, key = stored[entry["example_id"]]
        assert (tmp_path / "one" / entry["image"]).read_bytes() == data
        assert re.fullmatch(r"images/\d{4}\.jpg", entry["image"])
        assert key not in told
        if entry["example_id"] >= 1 << 20:  # smaller ones look like any number
            assert str(entry["example_id"]) not in told
    assert page.count("data:image/jpeg;base64,") == len(ids)
    assert not re.search(r"(src|href)=\"?(https?:|//)", page), "no network"
    assert "activation" not in page and LAYER not in told


@pytest.mark.skipif(shutil.which("node") is None, reason="runs the page's script: install Node.js")
def test_what_the_page_saves_can_be_imported(place, tmp_path):
    """The page's own script on a stand-in for the document, without a browser."""
    sheet = tmp_path / "sheet"
    export(place, sheet)
    page = (sheet / "index.html").read_text(encoding="utf-8")
    key = json.loads((sheet / "sheet.json").read_text(encoding="utf-8"))
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    figures = re.findall(r'data-item="(\d+)" data-image="([^"]+)"', page)
    stand_in = """
        const listeners = {}, saved = [];
        const element = (id) => ({ addEventListener: (name, f) => { listeners[id + "." + name] = f; },
          replaceChildren: () => {}, append: () => {}, click: () => {}, focus: () => {}, value: "",
          options: [] });
        const cards = FIGURES.map(([item, image]) => {
          const fields = { label: element("label"), note: element("note") };
          return { dataset: { item, image }, classList: { toggle: () => {} },
            querySelector: (which) => fields[which.match(/name=(\\w+)/)[1]] };
        });
        const document = { querySelector: () => ({ dataset: { sheet: "SHEET" } }),
          querySelectorAll: () => cards, getElementById: element,
          createElement: element, addEventListener: (name, f) => { listeners[name] = f; } };
        const localStorage = { getItem: () => null, setItem: () => {} };
        class Option {}
        class Blob { constructor(parts) { saved.push(parts.join("")); } }
        const URL = { createObjectURL: () => "", revokeObjectURL: () => {} };
    """.replace("FIGURES", json.dumps(figures)).replace("SHEET", key["sheet"])
    typed = """
        figures[0].querySelector("input[name=label]").value = " a \\"cat\\", sitting ";
        figures[0].querySelector("input[name=note]").value = "two\\nlines";
        figures[2].querySelector("input[name=label]").value = "犬";
        listeners.change();
        listeners["save.click"]();
        process.stdout.write(saved[0]);
    """
    done = subprocess.run(
        ["node", "-e", f"{stand_in}\n{script}\n{typed}"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    path = tmp_path / "downloaded.csv"
    path.write_text(done.stdout, encoding="utf-8", newline="")
    labels = read_labels(path, sheet)
    assert [row.label for row in labels.rows[:3]] == ['a "cat", sitting', "", "犬"]
    assert labels.rows[0].note == "two\nlines"
    assert [row.line for row in labels.rows[:3]] == [2, 4, 5]
    assert len(labels.rows) == len(figures)


def test_export_refuses_what_it_cannot_do(place, tmp_path):
    sheet = tmp_path / "sheet"
    export(place, sheet)
    text = run(place, "label", "export", LAYER, 0, "--out", sheet, status=2)
    assert "already holds a labelling sheet" in text
    text = run(
        place, "label", "export", LAYER, 0, "--out", tmp_path / "x", "--per-bin", 0, status=2
    )
    assert "per_bin is 0" in text
    assert "has no unit" in run(place, "label", "export", LAYER, 10**6, status=2)
    for manifest in place.glob("dataset=*/run_id=*/manifests/*.json"):  # as an older run left it
        record = json.loads(manifest.read_text())
        record["files"] = [f for f in record["files"] if f["table"] != "shard_samples"]
        Store(place).write_record(str(manifest.relative_to(place)), record)
    text = run(place, "label", "export", LAYER, 0, "--out", tmp_path / "y", status=2)
    assert "Runs made before samples were kept" in text
    assert run_violations(check(place)) == 0
