"""Files that hold the captions of a whole folder: JSON of every layout, Parquet, metadata of subfolders."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import ingest_paths, make_image, read_rows
from test_folder import fill, read_captions

from pipeline.base.errors import ExampleError, SourceError
from pipeline.sources.layouts.folder import iter_folder
from pipeline.sources.notices import PassedOver

DOGS = {"000": ["a dog"], "001": ["a cat", "une chatte"], "002": []}
COCO = {
    "info": {"year": 2017},
    "images": [
        {"id": 7, "file_name": "000.jpg", "coco_url": "http://x/7"},
        {"id": 8, "file_name": "001.jpg"},
        {"id": 9, "file_name": "002.jpg"},
    ],
    "annotations": [
        {"image_id": 8, "id": 1, "caption": "a cat"},
        {"image_id": 7, "id": 2, "caption": "a dog"},
        {"image_id": 8, "id": 3, "caption": "une chatte"},
    ],
}
KARPATHY = {
    "dataset": "x",
    "images": [
        {
            "filename": "000.jpg",
            "imgid": 0,
            "sentences": [{"raw": "a dog", "tokens": ["a", "dog"]}],
        },
        {"filename": "001.jpg", "sentences": [{"raw": "a cat"}, {"raw": "une chatte"}]},
    ],
}
ROWS = [
    {"image": "000.jpg", "caption": "a dog"},
    {"image": "001.jpg", "caption": ["a cat", "une chatte"]},
]


def texts(tmp_path: Path) -> dict[str, list[str]]:
    """The captions of each image."""
    found = read_captions(tmp_path)
    return {key: [text for *_, text in captions] for key, captions in found.items()}


@pytest.mark.parametrize(
    "layout",
    [
        COCO,
        KARPATHY,
        ROWS,
        {"data": ROWS, "version": 1},
        {"annotations": ROWS},
        [["000.jpg", "a dog"], ["001.jpg", "a cat"], ["001.jpg", "une chatte"]],
        {"000.jpg": "a dog", "001.jpg": ["a cat", "une chatte"]},
        {"000": {"caption": "a dog", "tags": "x"}, "001": {"en": "a cat", "fr": "une chatte"}},
        {"/in/000.jpg": "a dog", "in/001.jpg": ["a cat", "une chatte"]},
        {"file": {"0": "000.jpg", "1": "001.jpg"}, "caption": {"0": "a dog", "1": ["a cat", "une chatte"]}},
        {"file_name": ["000.jpg", "001.jpg"], "text": ["a dog", ["a cat", "une chatte"]]},
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_named", [False, True])
def test_json_of_every_layout(tmp_path: Path, layout: Any, is_named: bool) -> None:
    folder = fill(tmp_path / "in", 3)
    place = tmp_path / "elsewhere.json" if is_named else folder / "captions.json"
    place.write_text(json.dumps(layout))
    options = {"captions": str(place)} if is_named else {}
    summary = ingest_paths(tmp_path, "folder", folder, options=options)
    assert texts(tmp_path) == DOGS
    assert (summary.rejected_count, summary.notice_counts) == (0, {})
    urls = [row["source_url"] for row in read_rows(tmp_path, "examples")]
    assert urls == (["http://x/7", None, None] if layout is COCO else [None] * 3)


def test_rows_of_json_that_say_nothing_are_told(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 2)
    coco = {
        "images": [{"id": 1, "file_name": "000.jpg"}, {"id": 2, "file_name": "gone.jpg"}],
        "annotations": [
            {"image_id": 1, "caption": None}, {"image_id": 1, "caption": "a dog", "text": "a wolf"},
            {"image_id": 2, "caption": "x"}, {"image_id": 3, "caption": "y"},
            {"image_id": 1, "category_id": 4, "bbox": [0, 0, 1, 1]},
        ],
    }  # fmt: skip
    (folder / "captions.json").write_text(json.dumps(coco))
    summary = ingest_paths(tmp_path, "folder", folder)
    assert texts(tmp_path) == {"000": ["a dog"], "001": []}
    rejects = {row["reason"]: row["detail"] for row in read_rows(tmp_path, "rejects")}
    assert list(rejects) == ["image_missing", "bad_caption_row"]
    assert "entry 3 of" in rejects["image_missing"]
    assert rejects["bad_caption_row"].endswith("names the image 3, which is not among images")
    assert summary.notice_counts == {"text_empty": 1, "text_not_used": 1}


def test_json_that_holds_no_captions_is_left_alone(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 2)
    boxes = [{"image_id": 1, "category_id": 4}]
    for n, value in enumerate(
        (
            [],
            {},
            7,
            "x",
            {"a": "b"},
            [1, 2],
            {"images": COCO["images"], "annotations": boxes},
            ["000.jpg"],
        )
    ):
        (folder / f"info{n}.json").write_text(json.dumps(value))
    (folder / "cut.json").write_text('{"000.jpg": "a d')
    summary = ingest_paths(tmp_path, "folder", folder)
    assert summary.notice_counts == {"other_file": 8, "text_unreadable": 1}
    told = {row["reason"]: row["detail"] for row in read_rows(tmp_path, "notices")}
    assert all(f"info{n}.json: 1" in told["other_file"] for n in range(8))
    assert told["text_unreadable"] == "cut.json: 1"
    for name in ("info2.json", "info6.json", "cut.json"):
        message = (
            "do not parse" if name == "cut.json" else "holds no captions in a layout that is known"
        )
        with pytest.raises(SourceError, match=message):
            ingest_paths(
                tmp_path / name, "folder", folder, options={"captions": str(folder / name)}
            )


def test_parquet_of_captions(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 3)
    table = pa.table(
        {"file_name": ["000.jpg", "001.jpg"], "text": [["a dog"], ["a cat", "une chatte"]]}
    )
    pq.write_table(table, folder / "metadata.parquet")
    pq.write_table(pa.table({"key": ["000"], "caption": ["x"]}), folder / "00000.parquet")
    summary = ingest_paths(tmp_path, "folder", folder)
    assert texts(tmp_path) == DOGS
    assert summary.notice_counts == {"other_file": 1}
    with pytest.raises(SourceError, match=r"00000\.parquet is no Parquet file with a column"):
        options = {"captions": str(folder / "00000.parquet")}
        ingest_paths(tmp_path / "b", "folder", folder, options=options)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_metadata_of_each_subfolder_as_hugging_face_lays_it(tmp_path: Path, form: str) -> None:
    for split in ("train", "test"):
        folder = tmp_path / "in" / split
        fill(folder, 2)
        rows = [{"file_name": f"00{n}.jpg", "text": f"{split} {n}"} for n in range(2)]
        if form == "jsonl":
            (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
        elif form == "csv":
            lines = ["file_name,text", *(f"{row['file_name']},{row['text']}" for row in rows)]
            (folder / "metadata.csv").write_text("\n".join(lines))
        else:
            pq.write_table(pa.Table.from_pylist(rows), folder / "metadata.parquet")
    summary = ingest_paths(tmp_path, "folder", tmp_path / "in")
    assert texts(tmp_path) == {
        "test/000": ["test 0"], "test/001": ["test 1"],
        "train/000": ["train 0"], "train/001": ["train 1"],
    }  # fmt: skip
    assert (summary.rejected_count, summary.notice_counts) == (0, {})


def test_captions_that_are_not_read_are_named(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 3)
    (folder / "annotations").mkdir()
    (folder / "annotations/captions.json").write_text(json.dumps(COCO))
    (folder / "annotations/boxes.json").write_text("{}")
    (folder / "annotations/more.csv").write_text("file,caption\n000.jpg,a dog\n")
    summary = ingest_paths(tmp_path, "folder", folder)
    assert summary.notice_counts == {"other_file": 1, "text_not_used": 2}
    told = {row["reason"]: row["detail"] for row in read_rows(tmp_path, "notices")}
    assert "--captions names them, annotations/captions.json: 1" in told["text_not_used"]
    assert "annotations/more.csv: 1" in told["text_not_used"]
    options = {"captions": str(folder / "annotations/captions.json")}
    ingest_paths(tmp_path / "b", "folder", folder, options=options)
    assert texts(tmp_path / "b") == DOGS


def test_several_files_that_may_be_captions_are_refused_by_name(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 2)
    (folder / "a.csv").write_text("file,caption\n000.jpg,a dog\n")
    (folder / "b.json").write_text(json.dumps(ROWS))
    (folder / "c.json").write_text("{}")
    with pytest.raises(SourceError, match=r"may be captions: a\.csv, b\.json\."):
        ingest_paths(tmp_path, "folder", folder)


def test_many_json_files_are_metadata_of_single_images(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 2)
    for n in range(40):
        (folder / f"meta_{n}.json").write_text('{"000.jpg": "a dog"}')
    assert ingest_paths(tmp_path, "folder", folder).notice_counts == {"other_file": 40}


def test_a_path_of_another_folder_is_not_the_image_of_the_same_name(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 1)
    (folder / "a.csv").write_text("file,caption\nelsewhere/000.jpg,a cat\nin/000.jpg,a dog\n")
    ingest_paths(tmp_path, "folder", folder)
    assert texts(tmp_path) == {"000": ["a dog"]}
    (reject,) = read_rows(tmp_path, "rejects")
    assert (reject["shard_key"], reject["reason"]) == ("elsewhere/000.jpg", "image_missing")
    (tmp_path / "two").mkdir()
    for name in ("000.jpg", "000.png"):
        (tmp_path / "two" / name).write_bytes(make_image(len(name)))
    (tmp_path / "two/a.csv").write_text("file,caption\n000,a dog\n")
    ingest_paths(tmp_path / "b", "folder", tmp_path / "two")
    (reject,) = read_rows(tmp_path / "b", "rejects")
    assert reject["reason"] == "image_ambiguous"


def test_json_by_the_line_is_read_under_the_ending_json(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 3)
    (folder / "captions.json").write_text("\n".join(map(json.dumps, ROWS)) + "\n")
    assert ingest_paths(tmp_path, "folder", folder).notice_counts == {}
    assert texts(tmp_path) == DOGS


def test_a_second_text_of_one_name_is_told_as_that(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 1)
    (folder / "000.txt").write_text("a dog")
    (folder / "000.TXT").write_text("a cat")
    ingest_paths(tmp_path, "folder", folder)
    (reject,) = read_rows(tmp_path, "rejects")
    assert "another text of that name is read" in reject["detail"]


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats()
    | st.sampled_from(["000.jpg", "000", "gone.jpg", "a dog", "", "\ud800.jpg", "a\0b"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["images", "annotations", "id", "image_id", "file_name", "caption", "text", "url",
                         "000.jpg", "language", "text_kind", "page_title", "\ud800"]),
        inner, max_size=4),
    max_leaves=16,
)  # fmt: skip


@settings(max_examples=150)
@given(ANY, st.booleans())
def test_any_json_gives_captions_rejects_or_our_error(value: object, is_named: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "000.jpg").write_bytes(b"x")
        file = Path(place) / "captions.json"
        file.write_text(json.dumps(value))
        passed_over = PassedOver()
        try:
            image, *others = iter_folder(place, str(file) if is_named else None, passed_over)
        except SourceError:
            assert is_named
            return
    assert image.key == "000"
    assert all(
        text["text"]
        and text["text"] in ("000.jpg", "000", "gone.jpg", "a dog", "a b", "\ufffd.jpg")
        for text in image.texts
    )
    assert image.texts or image.notices or others or passed_over.counts or is_named
    for other in others:
        with pytest.raises(ExampleError, match=r"captions\.json"):
            other.image()
