"""What a sample's JSON says of a stimulus: the row it becomes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from making import ingest_paths, make_image, make_record, make_samples, read_rows, write_tar

from pipeline.base.progress import NoProgress
from pipeline.base.settings import IngestConfig
from pipeline.base.storage import Store
from pipeline.sources.writer import SourceExample, ingest_examples
from pipeline.tables.schema import TABLES
from pipeline.warehouse.connect import connect

WORD = {"stimulus": "word", "facet": "rendered word", "text": "dog", "font_size_px": 20}


def ingest_records(tmp_path: Path, *records: bytes) -> None:
    samples = [
        {"__key__": f"{n}", "jpg": make_image(n), "json": record}
        for n, record in enumerate(records)
    ]
    ingest_paths(
        tmp_path, "webdataset", write_tar(tmp_path / "a.tar", samples), max_reject_frac=1.0
    )


def test_a_stimulus_becomes_a_row_and_other_samples_none(tmp_path: Path) -> None:
    ingest_records(tmp_path, make_record("a", stimulus=WORD), make_record("b"))
    (row,) = read_rows(tmp_path, "stimuli")
    assert row == dict.fromkeys(TABLES["stimuli"].column_names) | WORD | {"example_id": 0}
    with connect(tmp_path / "warehouse") as con:
        assert con.sql("select text, font_size_px from stimuli").fetchall() == [("dog", 20.0)]


def test_a_shard_without_stimuli_has_no_file_and_the_views_no_rows(tmp_path: Path) -> None:
    ingest_paths(tmp_path, "webdataset", write_tar(tmp_path / "a.tar", make_samples(2)))
    assert not (tmp_path / "warehouse/dataset=d/stimuli").exists()
    with connect(tmp_path / "warehouse") as con:
        for view in ("stimuli", "top_words", "check_stimuli"):
            assert con.sql(f"from {view}").fetchall() == []


@pytest.mark.parametrize(
    ("stimulus", "said"),
    [
        ("word", "'stimulus' is a str, expected an object"),
        (WORD | {"colour": "red"}, "unknown field 'colour'"),
        (WORD | {"text": 3}, "stimulus field 'text' is 3, expected a text"),
        (WORD | {"font_size_px": "3"}, "'font_size_px' is '3', expected a number"),
        (WORD | {"font_size_px": True}, "expected a number"),
        (WORD | {"covered_frac": float("nan")}, "expected a number"),
        (WORD | {"example_id": 3}, "unknown field 'example_id'"),
        ({"stimulus": "word"}, "does not state 'facet'"),
    ],
)
def test_a_wrong_stimulus_is_a_reject(tmp_path: Path, stimulus: object, said: str) -> None:
    ingest_records(tmp_path, make_record("a", stimulus=stimulus), make_record("b"))
    (row,) = read_rows(tmp_path, "rejects")
    assert (row["reason"], said in row["detail"]) == ("bad_json", True), row["detail"]
    assert len(read_rows(tmp_path, "examples")) == 1


def test_what_another_calls_a_stimulus_is_not_ours(tmp_path: Path) -> None:
    ingest_records(tmp_path, json.dumps({"caption": "a", "stimulus": "face 7"}).encode())
    assert len(read_rows(tmp_path, "examples")) == 1


def test_the_writer_carries_it_and_it_is_part_of_the_item(tmp_path: Path) -> None:
    store = Store(tmp_path / "warehouse")
    digests = []
    for name, stimulus in (("d", WORD), ("e", None), ("f", WORD | {"text": "cat"})):
        item = SourceExample("k", make_image(1), stimulus=stimulus)
        ingest_examples(store, IngestConfig(store.url, name), "words", [item], NoProgress())
        digests.append(store.read_json(f"dataset={name}/manifests/00000.json")["source_digest"])
    assert [row["text"] for row in read_rows(tmp_path, "stimuli")] == ["dog"]
    assert len(set(digests)) == 3


def test_items_without_stimulus_keep_the_digest_that_they_had(tmp_path: Path) -> None:
    store = Store(tmp_path / "warehouse")
    item = SourceExample("k", make_image(1), "jpg")
    ingest_examples(store, IngestConfig(store.url, "d"), "folder", [item], NoProgress())
    digest = store.read_json("dataset=d/manifests/00000.json")["source_digest"]
    assert digest == "0a3789c199dc401cf1b5710d207e7f98d12807685a6590f8858a74fcd04ccc9d"
