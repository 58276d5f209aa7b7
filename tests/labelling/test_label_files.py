"""Files of labels from people, spreadsheets and elsewhere: read whole, or refused with the line."""

from __future__ import annotations

import pytest
from labels import LAYER, export, fill, lively_unit, run, write_csv

from pipeline.base.errors import SourceError
from pipeline.base.storage import Store
from pipeline.labelling.files import read_labels
from pipeline.labelling.read_back import import_labels
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_neuron

pytestmark = pytest.mark.slow


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


def test_labels_that_are_all_rejected_replace_nothing(place, tmp_path):
    path = write_csv(tmp_path / "labels.csv", [{"example_id": "77777777", "label": "x"}])
    with connect(place) as connection:
        neuron = find_neuron(connection, LAYER, 0)
        with pytest.raises(SourceError, match="1 rejected"):
            import_labels(connection, Store(place), neuron, read_labels(path), "ann")
