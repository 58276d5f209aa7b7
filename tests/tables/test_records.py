"""Records: they read back, older ones too, other shapes are errors, and they know their own bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.checksums import find_seal_problem, hash_bytes
from pipeline.base.errors import NewerFormatError, StorageError, WarehouseError
from pipeline.base.storage import FORMAT, NEEDS, Store
from pipeline.tables.manifests import DatasetRecord, ShardManifest
from pipeline.tables.measured import HumanLabelsRecord
from pipeline.tables.records import read_record
from pipeline.tables.runs import named_model

FILE = {
    "table": "texts",
    "path": "dataset=d/texts/00000.parquet",
    "layer": None,
    "row_count": 3,
    "bytes": 512,
    "checksum": hash_bytes(b"texts"),
}
MANIFEST = {
    "ordinal": 0,
    "shard": "Ünlü",
    "status": "done",
    "error": None,
    "read_count": 3,
    "written_count": 2,
    "rejected_count": 1,
    "reject_reasons": {"no_image": 1},
    "files": [FILE],
    "seconds": {"read": 0.25, "write": 1e-05},
    "written_at": "2026-01-01T00:00:00+00:00",
}


def test_a_record_reads_back_with_its_format(tmp_path):
    store = Store(tmp_path)
    store.write_record("m.json", MANIFEST)
    read = read_record(store, "m.json", ShardManifest)
    assert {name: read[name] for name in MANIFEST} == MANIFEST
    assert read["format"] == FORMAT
    store.write_record("again.json", read)  # its own format and checksum, not those that were read
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "m.json").read_bytes()


def test_an_older_record_has_no_checksum_and_reads(tmp_path):
    old = {k: v for k, v in FILE.items() if k != "checksum"}
    Store(tmp_path).write_json("m.json", MANIFEST | {"files": [old]})
    read = read_record(Store(tmp_path), "m.json", ShardManifest)
    assert read["files"][0].get("checksum") is None
    assert find_seal_problem((tmp_path / "m.json").read_bytes()) == ""


def test_fields_that_nobody_knows_are_passed_over(tmp_path):
    Store(tmp_path).write_record("m.json", MANIFEST | {"mood": {"good": [1]}})
    assert read_record(Store(tmp_path), "m.json", ShardManifest)["status"] == "done"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "it is a list, expected an object"),
        (None, "it is null, expected an object"),
        ({k: v for k, v in MANIFEST.items() if k != "files"}, "files is missing"),
        (MANIFEST | {"files": {}}, "files is an object, expected a list"),
        (MANIFEST | {"files": [FILE, FILE | {"bytes": "512"}]}, "files\\[1\\].bytes is a text"),
        (MANIFEST | {"ordinal": True}, "ordinal is true, expected a whole number"),
        (MANIFEST | {"error": 3}, "error is a whole number, expected a text"),
        (MANIFEST | {"seconds": {"read": "long"}}, "seconds.read is a text, expected a number"),
        (
            MANIFEST | {"passed_over": [["other_file", "x"]]},
            "passed_over\\[0\\] has 2 items, expected 3",
        ),
        (
            MANIFEST | {"passed_over": [["a", "x", "1"]]},
            "passed_over\\[0\\]\\[2\\] is a text, expected a whole",
        ),
        (MANIFEST | {"passed_over": ["a"]}, "passed_over\\[0\\] is a text, expected a list"),
        (MANIFEST | {"format": FORMAT + 1}, "made by a newer version"),
    ],
)
def test_another_shape_is_an_error_that_names_the_file(tmp_path, value, words):
    Store(tmp_path).write_json("m.json", value)
    with pytest.raises(WarehouseError, match=rf"m\.json .*{words}"):
        read_record(Store(tmp_path), "m.json", ShardManifest)


@pytest.mark.parametrize(
    ("needs", "told"),
    [
        ("0.7.2", "Update to 0.7.2 or later: pip install -U 'multimodal-neurons>=0.7.2'."),
        (None, "Update: pip install -U multimodal-neurons."),
        ("0; rm -r x", "Update: pip install -U multimodal-neurons."),
        (7, "Update: pip install -U multimodal-neurons."),
    ],
)
def test_a_newer_record_says_which_version_it_takes(tmp_path, needs, told):
    """Whatever else it says; and ours say it to older versions."""
    newer = {"format": FORMAT + 1, "something": "else"} | ({"needs": needs} if needs else {})
    Store(tmp_path).write_json("m.json", newer)
    with pytest.raises(
        NewerFormatError, match=f"its format is {FORMAT + 1}, ours {FORMAT}"
    ) as error:
        read_record(Store(tmp_path), "m.json", ShardManifest)
    assert error.value.hint == told
    Store(tmp_path).write_record("n.json", MANIFEST)
    assert Store(tmp_path).read_json("n.json")["needs"] == NEEDS


def test_no_advice_to_delete(tmp_path):
    (tmp_path / "m.json").write_text('{"dataset": "d", "sou')
    with pytest.raises(StorageError, match="neurons repair") as caught:
        read_record(Store(tmp_path), "m.json", DatasetRecord)
    assert "elete" not in caught.value.hint


@given(data=st.data())
def test_one_flipped_bit_anywhere_is_seen(tmp_path_factory, data):
    place = tmp_path_factory.mktemp("flips")
    value = data.draw(st.sampled_from([MANIFEST, {"layer": "l", "files": []}]))
    Store(place).write_record("m.json", value)
    good = (place / "m.json").read_bytes()
    assert find_seal_problem(good) == ""
    at = data.draw(st.integers(0, 8 * len(good) - 1))
    bad = bytearray(good)
    bad[at // 8] ^= 1 << at % 8
    assert find_seal_problem(bytes(bad))


def test_a_text_that_looks_like_a_checksum_changes_nothing(tmp_path):
    labels = {"layer": "xxh3:0000000000000000", "unit": 0, "labeller": '"checksum": "xxh3:0"\n}\n'}
    Store(tmp_path).write_record("l.json", labels | {"imported_at": "", "files": []})
    assert find_seal_problem((tmp_path / "l.json").read_bytes()) == ""
    assert read_record(Store(tmp_path), "l.json", HumanLabelsRecord)["layer"] == labels["layer"]
    assert json.loads((tmp_path / "l.json").read_text())["labeller"] == labels["labeller"]


def test_a_run_that_does_not_name_its_model_asks_for_it():
    assert named_model({"run_id": "r", "config": {"model": "nano"}}) == "nano"
    with pytest.raises(WarehouseError, match=r"run 'r' does not say .*\n.*--model"):
        named_model({"run_id": "r", "config": {}})
