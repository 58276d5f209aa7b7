"""The index of shards: what is a good example, what is a reject, and what fails."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import (
    ingest_paths,
    make_image,
    make_record,
    make_samples,
    read_manifests,
    read_rows,
    write_members,
    write_tar,
)

from pipeline.base.errors import ConfigError, NeuronsError, ShardError, SourceError
from pipeline.sources.texts.languages import normalise_language
from pipeline.tables.schema import TABLES


def ingest_members(
    tmp_path: Path, members: Sequence[tuple[str, bytes]], frac: float = 1.0
) -> list[tuple[str, str]]:
    """Ingest one tar of the members and return its rejects as (key, reason)."""
    tar = write_members(tmp_path / "00000.tar", members)
    ingest_paths(tmp_path, "webdataset", tar, max_reject_frac=frac)
    rows = read_rows(tmp_path, "rejects")
    assert all(row["stage"] == "index" and row["detail"] for row in rows)
    return [(row["shard_key"], row["reason"]) for row in rows]


def test_index_of_good_shards(tmp_path: Path) -> None:
    for n in range(2):
        write_tar(tmp_path / f"in/0000{n}.tar", make_samples(5, first=5 * n))
    summary = ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    assert summary.shard_count == 2
    assert (summary.read_count, summary.written_count, summary.rejected_count) == (10, 10, 0)
    assert (summary.text_count, summary.duplicate_count) == (10, 0)
    examples = read_rows(tmp_path, "examples")
    assert [row["example_id"] for row in examples] == [
        (n << 20) + i for n in range(2) for i in range(5)
    ]
    for row in examples:
        tar = (tmp_path / f"in/{row['shard_ordinal']:05d}.tar").read_bytes()
        image = tar[row["image_offset"] :][: row["image_bytes"]]
        assert image == make_image(int(row["shard_key"]))
        assert row["image_sha256"] == hashlib.sha256(image).hexdigest()
        assert (row["width_px"], row["height_px"], row["mime_type"]) == (16, 12, "image/jpeg")
    assert read_rows(tmp_path, "texts")[6] == {
        "example_id": (1 << 20) + 1,
        "language": "en",
        "text_kind": "caption",
        "text_rank": 1,
        "text": "picture 6",
        "page_title": None,
    }
    for name in ("examples", "texts", "rejects", "duplicates"):
        for row in read_rows(tmp_path, name):
            assert tuple(row) == TABLES[name].column_names
    (manifest, _) = read_manifests(tmp_path)
    assert manifest["status"] == "done"
    assert {file["table"]: file["row_count"] for file in manifest["files"]} == {
        "examples": 5,
        "texts": 5,
        "rejects": 0,
        "fingerprints": 5,
        "duplicates": 0,
    }


def test_every_reject_of_the_index(tmp_path: Path) -> None:
    jpeg = make_image()
    assert ingest_members(
        tmp_path,
        [
            ("good.jpg", jpeg),
            ("none.txt", b"no image"),
            ("empty.jpg", b""),
            ("text.jpg", b"this is no image"),
            ("two.jpg", jpeg),
            ("two.JPG", jpeg),
            ("stimulus.jpg", jpeg),
            ("stimulus.json", b'{"texts": [], "stimulus": 7}'),
            ("good.txt", b"again"),
            ("plain", b"no extension"),
            ("b\udce9.jpg", jpeg),
        ],
    ) == [
        ("none", "no_image"),
        ("empty", "empty_file"),
        ("text", "not_an_image"),
        ("two", "duplicate_member"),
        ("stimulus", "bad_json"),
        ("good", "duplicate_key"),
        ("plain", "no_extension"),
        ("b\ufffd", "bad_key"),
    ]
    (manifest,) = read_manifests(tmp_path)
    assert manifest["read_count"] == 9
    assert manifest["written_count"] == 1
    assert manifest["rejected_count"] == 8
    assert manifest["reject_reasons"]["bad_json"] == 1
    details = {row["shard_key"]: row["detail"] for row in read_rows(tmp_path, "rejects")}
    assert "begins with b'this is no image'" in details["text"]
    assert "only: txt" in details["none"]


def test_texts_of_foreign_samples(tmp_path: Path) -> None:
    jpeg = make_image()
    own = {
        "url": "http://x/y.jpg",
        "texts": [
            {"text": "eins", "language": "de_AT", "text_kind": "alt", "page_title": "Zahl"},
            {"text": "  "},
            {"text": "zwei \ud800", "language": "de-at", "text_kind": "alt"},
        ],
    }
    assert ingest_members(
        tmp_path,
        [
            ("a.jpg", jpeg),
            ("a.json", json.dumps(own).encode()),
            ("b.jpg", jpeg),
            ("b.json", b'{"caption": "from json", "LANGUAGE": "FR"}'),
            ("b.txt", b"not this"),
            ("c.jpg", jpeg),
            ("c.json", b'{"caption": ["one", 2]}'),
            ("d.jpg", jpeg),
            ("d.json", b'{"caption": null}'),
            ("d.txt", "\ufefffrom txt\n".encode()),
            ("e.thumb.jpg", b"small"),
            ("e.jpg", jpeg),
        ],
    ) == [("e.thumb.jpg", "extra_image")]
    keys = {row["example_id"]: row["shard_key"] for row in read_rows(tmp_path, "examples")}
    assert list(keys.values()) == ["a", "b", "c", "d", "e"]
    assert [
        (keys[r["example_id"]], r["language"], r["text_kind"], r["text_rank"], r["text"])
        for r in read_rows(tmp_path, "texts")
    ] == [
        ("a", "de-AT", "alt", 1, "eins"),
        ("a", "de-AT", "alt", 2, "zwei \ufffd"),
        ("b", "fr", "caption", 1, "from json"),
        ("c", "und", "caption", 1, "one"),
        ("d", "und", "caption", 1, "from txt"),
    ]
    assert read_rows(tmp_path, "texts")[0]["page_title"] == "Zahl"
    assert read_rows(tmp_path, "examples")[0]["source_url"] == "http://x/y.jpg"


def test_languages() -> None:
    spelled = ["EN", "pt_br", "zh-hant-tw", "sr-Latn", "be-tarask", "iw", "", None, "??", "e n"]
    others = ["tl", "eng", "sh", "zh-yue", "in_ID"]
    assert [*map(normalise_language, others)] == ["fil", "en", "sr-Latn", "yue", "id-ID"]
    assert [normalise_language(tag) for tag in spelled] == [
        "en", "pt-BR", "zh-Hant-TW", "sr-Latn", "be-tarask", "he", "und", "und", "und", "und",
    ]  # fmt: skip


def test_too_many_rejects_fail_the_shard_alone(tmp_path: Path) -> None:
    bad = [("a.jpg", make_image()), ("b.jpg", b"no"), ("c.jpg", b""), ("d.jpg", b"no")]
    write_members(tmp_path / "in/00000.tar", bad)
    write_tar(tmp_path / "in/00001.tar", make_samples(3))
    with pytest.raises(ShardError) as caught:
        ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    message = str(caught.value)
    assert "1 of 2 shards of dataset 'd' failed; the other 1 are registered" in message
    assert "3 rejects among 4 samples, more than the fraction 0.25" in message
    assert "not_an_image 2, empty_file 1" in message
    failed, done = read_manifests(tmp_path)
    assert (failed["status"], done["status"]) == ("failed", "done")
    assert (failed["read_count"], failed["written_count"], failed["rejected_count"]) == (4, 0, 4)
    assert [file["table"] for file in failed["files"]] == ["rejects"]
    rows = [row for row in read_rows(tmp_path, "rejects") if row["shard_ordinal"] == 0]
    assert [(row["position"], row["reason"]) for row in rows] == [
        (1, "not_an_image"),
        (2, "empty_file"),
        (3, "not_an_image"),
        (None, "too_many_rejects"),
    ]
    ingest_paths(tmp_path, "webdataset", tmp_path / "in", max_reject_frac=0.75)
    assert [row["written_count"] for row in read_manifests(tmp_path)] == [1, 3]


@pytest.mark.parametrize(
    ("damage", "reason", "message"),
    [
        (lambda data: data[:3200], "tar_truncated", "00000.tar ends inside"),
        (lambda data: data[:3072], "tar_truncated", "00000.tar ends in"),
        (lambda data: data[:1536] + b"\xff" * 512 + data[2048:], "tar_damaged_header", "damaged"),
        (lambda data: b"", "tar_empty", "has 0 bytes"),
        (lambda data: bytes(10240), "tar_empty", "holds no sample"),
        (lambda data: data + data, "tar_trailing_data", "Were several tars joined?"),
    ],
)
def test_a_damaged_tar_fails_and_can_be_repaired(
    tmp_path: Path, damage: Callable[[bytes], bytes], reason: str, message: str
) -> None:
    good = write_tar(tmp_path / "in/00000.tar", make_samples(4)).read_bytes()
    write_tar(tmp_path / "in/00001.tar", make_samples(2))
    (tmp_path / "in/00000.tar").write_bytes(damage(good))
    for _ in range(2):
        with pytest.raises(ShardError, match=r"1 of 2 shards .* failed") as caught:
            ingest_paths(tmp_path, "webdataset", tmp_path / "in")
        assert message in str(caught.value)
        (row,) = read_rows(tmp_path, "rejects")
        assert (row["shard_key"], row["position"], row["stage"]) == (None, None, "index")
        assert row["reason"] == reason
        assert message in row["detail"]
        manifest = read_manifests(tmp_path)[0]
        assert manifest["status"] == "failed"
        assert manifest["read_count"] == manifest["rejected_count"]
    (tmp_path / "in/00000.tar").write_bytes(good)
    assert ingest_paths(tmp_path, "webdataset", tmp_path / "in").written_count == 6
    assert read_rows(tmp_path, "rejects") == []
    # The copies in the shard that was repaired later point to those that were there first.
    assert [
        (row["example_id"], row["duplicate_of"]) for row in read_rows(tmp_path, "duplicates")
    ] == [
        (0, 1 << 20),
        (1, (1 << 20) + 1),
    ]


def test_wrong_requests(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "00000.tar", make_samples(1))
    with pytest.raises(ConfigError, match="source is 'tar'"):
        ingest_paths(tmp_path, "tar", tar)
    with pytest.raises(ConfigError, match="needs at least one path"):
        ingest_paths(tmp_path, "webdataset")
    with pytest.raises(ConfigError, match="'images' cannot be set"):
        ingest_paths(tmp_path, "webdataset", tar, options={"images": "x"})
    with pytest.raises(ConfigError, match="max_reject_frac is 2"):
        ingest_paths(tmp_path, "webdataset", tar, max_reject_frac=2)
    with pytest.raises(ShardError, match=r"00001\.tar"):
        ingest_paths(tmp_path, "webdataset", f"{tmp_path}/{{00000..00001}}.tar")
    assert not (tmp_path / "warehouse/dataset=d/dataset.json").exists()
    ingest_paths(tmp_path, "webdataset", tar)
    assert issubclass(SourceError, NeuronsError)


KINDS = {
    "good": [("jpg", make_image(1)), ("json", make_record("a"))],
    "no_caption": [("png", make_image(2, form="PNG"))],
    "no_image": [("txt", b"a")],
    "empty_file": [("jpg", b"")],
    "not_an_image": [("jpg", b"abc")],
    "odd_json": [("jpg", make_image(3)), ("json", b"nope")],
}


@settings(max_examples=25)
@given(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=12))
@pytest.mark.slow
def test_every_sample_is_an_example_or_a_reject(kinds: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        tmp_path = Path(name)
        members = [
            (f"{n}.{extension}", data)
            for n, kind in enumerate(kinds)
            for extension, data in KINDS[kind]
        ]
        found = dict(ingest_members(tmp_path, members))
        bad = {
            str(n): k for n, k in enumerate(kinds) if k not in ("good", "no_caption", "odd_json")
        }
        assert found == bad
        examples = {row["shard_key"] for row in read_rows(tmp_path, "examples")}
        assert examples == {str(n) for n in range(len(kinds))} - set(bad)
        assert len(read_rows(tmp_path, "texts")) == kinds.count("good")
        (manifest,) = read_manifests(tmp_path)
        assert manifest["read_count"] == len(kinds)
        assert manifest["rejected_count"] == len(bad)
        assert manifest["read_count"] == manifest["written_count"] + manifest["rejected_count"]
