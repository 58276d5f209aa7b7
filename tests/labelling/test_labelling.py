"""Sheets for people: exported blind, read back with care; and the published Trump neuron, replayed."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from typer.testing import CliRunner

from bench.data import synthetic_output, write_run
from pipeline.base.errors import ConfigError, NeuronsError, SourceError, WarehouseError
from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.cli.app import app
from pipeline.labelling.files import read_labels
from pipeline.labelling.read_back import import_labels
from pipeline.labelling.sheet import bin_samples, export_sheet
from pipeline.upkeep.build import build
from pipeline.upkeep.check import check, run_violations
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_neuron
from pipeline.warehouse.images import IMAGE_COLUMNS, read_image

LAYER = "visual.layer4.0.act3"


@pytest.fixture
def place(tiny_warehouse, tmp_path) -> Path:
    """A copy of the small warehouse that a test may write labels into."""
    return Path(shutil.copytree(tiny_warehouse, tmp_path / "warehouse"))


def run(place, *words, status=0):
    result = CliRunner().invoke(app, [*map(str, words), "--warehouse", str(place)])
    if status == 0:
        assert result.exception is None, result.exception
        return result.output
    assert isinstance(result.exception, NeuronsError)
    return str(result.exception)


def lively_unit(place) -> int:
    """The unit whose samples fill the most bins."""
    with connect(place) as connection:
        return connection.execute(
            "select unit from neuron_samples inner join layers using (dataset, run_id, layer) "
            "where layer_path = $layer group by unit order by count(distinct sd_bin) desc, unit limit 1",
            {"layer": LAYER},
        ).fetchall()[0][0]


def fill(sheet: Path, answers) -> list[dict[str, str]]:
    """Fill the sheet as ``answers(item)`` says."""
    path = sheet / "labels.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["label"] = answers(int(row["item"]))
    write_csv(path, rows)
    return rows


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def export(place, folder, per_bin=4, seed=0, unit=None):
    unit = lively_unit(place) if unit is None else unit
    words = ("label", "export", LAYER, unit, "--out", folder, "--per-bin", per_bin, "--seed", seed)
    return run(place, *words)


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


def test_a_second_import_replaces_the_first_of_the_same_labeller(place, tmp_path):
    sheet = tmp_path / "sheet"
    export(place, sheet)
    query = "select labeller, category, count(*) from human_labels group by all order by all"

    def answer():
        with connect(place) as connection:
            return connection.execute(query).fetchall()

    count = len(fill(sheet, lambda item: "a"))
    assert "there already" not in run(place, "label", "import", sheet, "--labeller", "ann")
    before = sorted(str(path) for path in place.rglob("human_labels/**/*"))
    assert "there already" in run(place, "label", "import", sheet, "--labeller", "ann")
    assert before == sorted(str(path) for path in place.rglob("human_labels/**/*"))
    run(place, "label", "import", sheet, "--labeller", "bob")
    assert answer() == [("ann", "a", count), ("bob", "a", count)]
    for word in ("b", "c", "d"):
        fill(sheet, lambda item, word=word: word if item > 1 else "")
        run(place, "label", "import", sheet, "--labeller", "ann")
    assert answer() == [("ann", "d", count - 1), ("bob", "a", count)]
    # the file before the last may be open somewhere; older ones are gone
    assert len(list(place.rglob("human_labels/layer=*/*.parquet"))) == 3


def test_labels_from_elsewhere_by_example_id(place, tmp_path):
    unit = lively_unit(place)
    with connect(place) as connection:
        neuron = find_neuron(connection, LAYER, unit)
        stored = dict(
            connection.execute(
                "select example_id, activation from activations where layer = $layer and unit = $unit",
                {"layer": neuron.layer, "unit": unit},
            ).fetchall()
        )
        ((repeat,),) = connection.execute(
            "select min(example_id) from examples where duplicate_of is not null"
        ).fetchall()
        first = [
            i
            for (i,) in connection.execute(
                "select example_id from examples where duplicate_of is null order by 1"
            ).fetchall()
        ]
    lines = [{"example_id": str(i), "label": "x"} for i in first]
    lines += [{"example_id": str(repeat), "label": "x"}, {"example_id": "999", "label": "x"}]
    path = write_csv(tmp_path / "elsewhere.csv", lines)
    output = run(place, "label", "import", path, "--layer", LAYER, "--unit", unit)
    assert f"{len(lines)} read = {len(first)} imported + 0 not labelled + 2 rejected" in output
    assert f"line {len(first) + 2}: repeated image" in output
    assert f"line {len(first) + 3}: not in the run" in output
    with connect(place) as connection:
        labels = connection.execute(
            "select example_id, activation, sd_bin from human_labels"
        ).fetchall()
    assert {i for i, *_ in labels} == set(first)
    for example_id, activation, sd_bin in labels:
        if example_id in stored:
            assert activation == stored[example_id]
        else:
            assert activation is None or activation <= 0
        assert (sd_bin is None) == (activation is None)
    unbinned = sum(activation is None for _, activation, _ in labels)
    assert (f"{unbinned} are in no bin" in output) == (unbinned > 0)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_spreadsheets_make_of_it_is_read(place, tmp_path, separator):
    sheet = tmp_path / "sheet"
    export(place, sheet)
    rows = fill(sheet, lambda item: "chat, noir")
    text = separator.join(rows[0]) + "\r\n"
    text += "".join(separator.join(f'"{value}"' for value in row.values()) + "\r\n" for row in rows)
    (sheet / "labels.csv").write_text("\ufeff" + text + "\r\n", encoding="utf-8", newline="")
    labels = read_labels(sheet)
    assert {row.label for row in labels.rows} == {"chat, noir"}
    assert len(labels.rows) == len(rows)


def test_wrong_lines_are_named_and_nothing_is_imported(place, tmp_path):
    sheet, other = tmp_path / "sheet", tmp_path / "other"
    export(place, sheet)
    export(place, other, seed=1)
    rows = fill(sheet, lambda item: "a")
    good = [dict(row) for row in rows]
    rows[1]["item"] = "9999"
    rows[2]["item"] = rows[0]["item"]
    rows[3]["item"] = "one"
    rows[4]["sheet"] = "feedfeedfeed"
    write_csv(sheet / "labels.csv", rows)
    text = run(place, "label", "import", sheet, status=2)
    assert "4 wrong lines" in text
    assert f"line 3: there is no item '9999', only 1 to {len(rows)}" in text
    assert "line 4: item 1 was on line 2 already" in text
    assert "line 5: there is no item 'one'" in text
    assert "line 6 is of sheet 'feedfeedfeed'" in text
    assert not list(place.rglob("human_labels/*"))
    write_csv(sheet / "labels.csv", good)
    text = run(place, "label", "import", sheet / "labels.csv", "--sheet", other, status=2)
    assert f"{len(rows)} wrong lines" in text and "and " in text
    run(place, "label", "import", sheet / "labels.csv", "--sheet", sheet)


def test_files_that_are_no_labels(place, tmp_path):
    sheet = tmp_path / "sheet"
    export(place, sheet)
    assert "no label to import" in run(place, "label", "import", sheet, status=2)
    assert "cannot be read" in run(place, "label", "import", tmp_path / "gone.csv", status=2)
    text = run(place, "label", "import", sheet, "--unit", 0, status=2)
    assert "a sheet knows its neuron" in text or lively_unit(place) == 0
    for name, content, found in (
        ("a", "picture,label\n1,x\n", "has the columns picture, label"),
        ("b", "", "has the columns (none)"),
        ("c", "example_id,label\nx,y\n", "line 2: example_id 'x' is no whole number"),
        ("d", "example_id,label\n1,y\n1,z\n", "line 3: example 1 was on line 2 already"),
        ("e", "item,label\n1,x\n", "there is no"),
        ("f", "example_id,label\n1,x\n", "--layer LAYER --unit UNIT"),
    ):
        (tmp_path / f"{name}.csv").write_text(content)
        assert found in run(place, "label", "import", tmp_path / f"{name}.csv", status=2)
    text = run(
        place, "label", "import", tmp_path / "f.csv", "--layer", LAYER, "--unit", 1,
        "--labeller", " ", status=2,
    )  # fmt: skip
    assert "--labeller NAME" in text
    (sheet / "sheet.json").write_text("{}")
    assert "not the key of a sheet" in run(place, "label", "import", sheet, status=2)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in run(place, "label", "import", tmp_path / "binary.csv", status=2)


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


def test_a_constant_neuron_has_nothing_to_sample(tmp_path):
    values = torch.ones(20, 1, dtype=torch.float16)
    write_run(str(tmp_path / "w"), values, 20, synthetic_output(1))
    with connect(tmp_path / "w") as connection:
        neuron = find_neuron(connection, "synthetic", 0)
        with pytest.raises(WarehouseError, match="the same for every image"):
            export_sheet(connection, Store(tmp_path / "w"), neuron, tmp_path / "sheet")


def test_bins_are_a_setting_that_is_checked():
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="sd_bin_width"):
            LabelSettings(sd_bin_width=wrong)
    with pytest.raises(ConfigError, match="sd_bin_offset"):
        LabelSettings(sd_bin_offset=float("nan"))


# Goh et al. 2021, the Trump neuron: 651 images labelled by hand, in ten bins of activation.
LEFT = [-40 + 15.5 * n for n in range(10)]
COUNTS = [24, 86, 92, 80, 57, 71, 77, 88, 62, 14]
PUBLISHED = [0, 0.023, 0.033, 0.275, 0.632, 0.817, 0.935, 0.977, 1, 1]
SD = 2.19


def test_the_published_trump_neuron(tmp_path):
    """A neuron with that standard deviation and those images; its labels come as a CSV."""
    rng = np.random.default_rng(0)
    labelled = np.concatenate(
        [left + rng.uniform(0.5, 15, count) for left, count in zip(LEFT, COUNTS, strict=True)]
    )
    rest = rng.normal(size=400_000 - len(labelled))
    rest *= np.sqrt((SD**2 * 400_000 - (labelled**2).sum()) / (rest**2).sum())
    values = rng.permutation(np.concatenate([labelled, rest])).astype(np.float16)
    order = {float(np.float16(value)): n for n, value in enumerate(labelled)}
    assert len(order) > 600  # some float16 coincide: told apart by position below
    output = replace(synthetic_output(1), store="all")
    place = tmp_path / "warehouse"
    write_run(str(place), torch.from_numpy(values)[:, None].clone(), 200_000, output)

    bins = np.floor((values.astype(np.float64) - LEFT[0]) / 15.5).astype(int)
    is_labelled = np.zeros(len(values), bool)
    lines = []
    for n, (count, share) in enumerate(zip(COUNTS, PUBLISHED, strict=True)):
        members = np.flatnonzero(bins == n)
        assert len(members) >= count
        for place_in_bin, i in enumerate(rng.permutation(members)[:count]):
            is_labelled[i] = True
            example_id = ((i // 200_000) << 20) + i % 200_000
            label = "related" if place_in_bin < round(share * count) else "other"
            lines.append({"example_id": str(example_id), "label": label})
    assert is_labelled.sum() == 651
    path = write_csv(tmp_path / "labels.csv", [lines[i] for i in rng.permutation(651)])
    with connect(place) as connection:
        ((sd,),) = connection.execute("select sd from neuron_stats").fetchall()
        neuron = find_neuron(connection, "synthetic", 0)
        done = import_labels(connection, Store(place), neuron, read_labels(path), "goh2021")
    assert sd == pytest.approx(SD, rel=1e-3)
    assert (done.read_count, done.imported_count, done.unbinned_count) == (651, 651, 0)

    bins_of_the_paper = LabelSettings(sd_bin_width=15.5 / sd, sd_bin_offset=-40 / sd)
    with connect(place, bins_of_the_paper) as connection:
        rows = connection.execute(
            """
            select
                sd_bin, bin_left_sd * $sd, sample_count, hit_count, probability,
                probability_low, probability_high
            from conditional_probabilities
            where origin = 'human' and labeller = 'goh2021' and category = 'related'
            order by sd_bin
            """,
            {"sd": sd},
        ).fetchall()
        whole = connection.execute(
            "select sd_bin, count(*), min(sampled_frac) from neuron_samples group by all order by all"
        ).fetchall()
    assert [row[0] for row in rows] == list(range(10))
    assert [row[1] for row in rows] == pytest.approx(LEFT)
    assert [row[2] for row in rows] == COUNTS
    assert [round(row[4], 3) for row in rows] == PUBLISHED
    for _, _, trials, hits, _, low, high in rows:
        exact = binomtest(hits, trials).proportion_ci(0.95, method="wilson")
        assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-12)
    # what a sheet of this neuron would draw from: every bin, the strongest whole
    assert [sd_bin for sd_bin, *_ in whole] == list(range(10))
    assert [(count, frac) for _, count, frac in whole][8:] == [(62, 1.0), (14, 1.0)]


def test_labels_that_are_all_rejected_replace_nothing(place, tmp_path):
    path = write_csv(tmp_path / "labels.csv", [{"example_id": "77777777", "label": "x"}])
    with connect(place) as connection:
        neuron = find_neuron(connection, LAYER, 0)
        with pytest.raises(SourceError, match="1 rejected"):
            import_labels(connection, Store(place), neuron, read_labels(path), "ann")
