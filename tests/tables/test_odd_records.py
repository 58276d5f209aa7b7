"""Records of any shape: our error that names the file, or no harm; never a bug, never a blocked query."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from making import ingest_paths, make_samples, write_tar

from pipeline.base import warn
from pipeline.base.errors import NeuronsError, SourceError
from pipeline.base.settings import LabelSettings
from pipeline.base.storage import FORMAT, Store
from pipeline.labelling.files import read_labels
from pipeline.warehouse.connect import connect
from pipeline.warehouse.duck import open_duckdb
from pipeline.warehouse.inventory import take_inventory
from pipeline.warehouse.last_build import read_build
from pipeline.warehouse.small_tables import create_table, small_tables

VALUES: list[Any] = [
    *(None, [], {}, "x", "\ud800", -1, 1 << 40, 10**30, True, 1.5, 1e400, [[]], {"a": 1}),
    *("../../etc/passwd", "a\0b", ["x"], [{"path": "x"}]),
]
MORE = {
    "similarity.json": {
        "identity": {"concepts": ["a"], "templates": ["{}"], "weights_sha256": "0"},
        "files": [],
        "created_at": "2026-01-01T00:00:00+00:00",
    },
    "class_sets/c.json": {
        "class_set": "c",
        "identity": {"classes": ["a"], "templates": ["a {}"]},
        "logit_scale": 1.0,
        "example_count": 1,
        "files": [],
        "created_at": "2026-01-01T00:00:00+00:00",
    },
    "effects/e.json": {
        "layer": "l",
        "units": [0],
        "identity": {
            "weights_sha256": "0",
            "layer": "l",
            "concepts": ["a", "b"],
            "templates": ["{}"],
            "levels": [0.0, 1.0],
            "hidden": 1,
            "shown": 1,
            "seed": 0,
        },
        "files": [],
        "created_at": "2026-01-01T00:00:00+00:00",
    },
    "ablations/a.json": {
        "layer": "l",
        "class_set": "c",
        "identity": {
            "weights_sha256": "0",
            "layer": "l",
            "class_set": "c",
            "classes": ["a", "b"],
            "templates": ["{}"],
            "counts": [1],
            "draws": 1,
            "images": 1,
            "seed": 0,
        },
        "files": [],
        "created_at": "2026-01-01T00:00:00+00:00",
    },
    "support/a.json": {
        "layer": "l",
        "identity": {
            "weights_sha256": "0",
            "layer": "l",
            "concepts": ["a", "b"],
            "made_with": ["Caladea-Bold"],
            "fonts": ["font_caladea"],
            "sets": [],
            "images": 1,
            "controls": 2,
            "size_px": 64,
            "seed": 0,
        },
        "files": [],
        "created_at": "2026-01-01T00:00:00+00:00",
    },
    "facet_probes/a.json": {
        "layer": "l",
        "facet": "f",
        "identity": {
            "weights_sha256": "0",
            "layer": "l",
            "facet": "f",
            "probe_layer": "visual.layer3:output:mean",
            "shown": "",
            "others": "",
            "images": 40,
            "seed": 0,
        },
        "files": [],
        "created_at": "2026-01-01T00:00:00+00:00",
    },
    "visualisations/v.json": {
        "layer": "l",
        "drawn": [{"settings": "0", "choice": {"steps": 1}, "units": [0], "directions": ["0:1"]}],
        "files": [],
        "created_at": "2026-01-01T00:00:00+00:00",
    },
    "figures/f.json": {
        "layer": "",
        "identity": {
            "figure": "words",
            "weights_sha256": "0",
            "layer": "",
            "texts": ["cat"],
            "templates": [],
            "font": "NotoSans",
            "size_px": 160,
        },
        "files": [],
        "created_at": "2026-01-01T00:00:00+00:00",
    },
    "human_labels/h.json": {
        "layer": "l",
        "unit": 0,
        "labeller": "me",
        "files": [],
        "imported_at": "2026-01-01T00:00:00+00:00",
    },
    "compact.json": {"version": "1", "ordinals": [0], "files": [], "form": "f"},
}


@pytest.fixture(scope="module")
def records(tiny_warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Any]:
    """Every kind of record of a warehouse, by its path; the first is the warehouse's root."""
    place = tmp_path_factory.mktemp("odd") / "warehouse"
    shutil.copytree(tiny_warehouse, place)
    (run,) = place.glob("dataset=*/run_id=*")
    for name, value in MORE.items():
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text(json.dumps(value))
    kinds = ["dataset=*/dataset.json", "dataset=*/manifests/00000.json", "dataset=*/*/run.json"]
    kinds += ["dataset=*/run_id=*/manifests/00001.json", *(f"dataset=*/*/{n}" for n in MORE)]
    files = [next(place.glob(kind)) for kind in kinds]
    return {file: json.loads(file.read_text()) for file in files}


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place inside a JSON value, the whole first."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2])
    for key, item in inner if isinstance(value, dict | list) else ():
        yield from places(item, (*at, key)) if isinstance(item, dict | list) else [(*at, key)]


def change(value: Any, at: tuple[Any, ...], new: Any, is_gone: bool) -> Any:
    """A copy with another value at a place, or without it."""
    if not at:
        return new
    value = copy.deepcopy(value)
    holder = value
    for key in at[:-1]:
        holder = holder[key]
    if is_gone:
        del holder[at[-1]]
    else:
        holder[at[-1]] = new
    return value


def open_small(place: Path) -> None:
    """All that opening a warehouse makes of its records."""
    store = Store(place)
    inventory = take_inventory(store)
    for one in inventory.left_out:
        raise one.error
    with open_duckdb(store) as connection:
        for name, rows, columns in small_tables(inventory, LabelSettings()):
            create_table(connection, name, rows, columns)


def find_trouble(place: Path) -> NeuronsError:
    """What is wrong with what is left out; or with all there is."""
    try:
        return take_inventory(Store(place)).left_out[0].error
    except NeuronsError as error:
        return error


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.slow
def test_any_value_anywhere_in_any_record(records: dict[Path, Any], data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(sorted(records)))
    at = data.draw(st.sampled_from(list(places(records[file]))))
    new = data.draw(st.one_of(st.sampled_from(VALUES), st.recursive(st.none(), st.lists)))
    try_one(records, file, change(records[file], at, new, data.draw(st.booleans())))


def try_one(records: dict[Path, Any], file: Path, value: Any) -> None:
    root = next(parent for parent in file.parents if parent.name == "warehouse")
    text = file.read_text()
    file.write_text(json.dumps(value))
    try:
        open_small(root)
    except NeuronsError as error:
        assert file.name in str(error) or file.parent.parent.name in str(error)
        assert error.hint
    finally:
        file.write_text(text)


@pytest.mark.parametrize("value", [None, "2", 0, -1, True, 1.5, []])
def test_a_format_that_is_no_number_is_our_error(value: Any, records: dict[Path, Any]) -> None:
    place = next(iter(records)).parent.parent
    for file, record in records.items():
        file.write_text(json.dumps({**record, "format": value}))
        try:
            assert re.search(f"{file.name} .*format is", str(find_trouble(place)))
        finally:
            file.write_text(json.dumps(record))


def test_a_newer_format_is_told_as_one(records: dict[Path, Any]) -> None:
    for file, value in records.items():
        root = next(parent for parent in file.parents if parent.name == "warehouse")
        text = file.read_text()
        file.write_text(json.dumps({**value, "format": FORMAT + 1, "new": {"a": [1]}}))
        try:
            said = str(find_trouble(root))
            assert re.search(f"newer version.*format is {FORMAT + 1}", said)
        finally:
            file.write_text(text)
        file.write_text(json.dumps({**value, "new": {"a": [1]}}))
        open_small(root)  # what we do not know is passed over
        file.write_text(text)


KEY = {
    "sheet": "s",
    "dataset": "d",
    "run_id": "r",
    "layer": "l",
    "unit": 0,
    "seed": 0,
    "items": [{"item": 1, "image": "images/0001.jpg", "example_id": 0}],
}


def test_the_key_of_a_sheet_in_any_shape(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("sheet,item,image,label,note\ns,1,images/0001.jpg,cat,\n")
    for at in places(KEY):
        for value in VALUES:
            changed = change(KEY, at, value, is_gone=bool(at) and value is None)
            (tmp_path / "sheet.json").write_text(json.dumps(changed))
            try:
                read_labels(labels)
            except SourceError as error:
                assert str(tmp_path) in error.message and error.hint


@pytest.mark.parametrize(
    "value",
    [
        *("", "{", "[]", "null", '{"settings": []}', '{"format": 99}'),
        '{"settings": {"label_top_k": "x"}, "files": []}',
        '{"settings": {"sd_bin_width": 1' + 400 * "0" + '}, "files": []}',
    ],
)
def test_a_damaged_cache_blocks_no_query(
    value: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warn, "_said", set())
    ingest_paths(tmp_path, "webdataset", write_tar(tmp_path / "00000.tar", make_samples(2)))
    build = tmp_path / "warehouse/marts/build.json"
    build.parent.mkdir()
    build.write_text(value)
    assert read_build(Store(tmp_path / "warehouse")) is None
    (said,) = caplog.messages
    assert str(build) in said and "neurons build" in said
    if value == "[]":
        with connect(tmp_path / "warehouse") as connection:
            assert connection.execute("select count(*) from examples").fetchall() == [(2,)]


def test_a_record_of_a_name_that_can_be_no_folders_is_named(records):
    (file,) = (file for file in records if file.name == "dataset.json")
    try_one(records, file, records[file] | {"dataset": "../../etc/passwd"})
