from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from making import (
    ingest_paths,
    make_image,
    read_manifests,
    read_rows,
    snapshot,
    write_tar,
)

from pipeline.base.errors import ConfigError, DamagedShardError, SourceError
from pipeline.sources.layouts.wit_tsv import COLUMNS, write_url_table

BASE = "https://upload.wikimedia.org/wikipedia/commons/a/ab/"


def wit_row(name: str, language: str = "en", **texts: str) -> dict[str, str]:
    row = dict.fromkeys(COLUMNS, "")
    row |= {"image_url": BASE + name, "language": language, "mime_type": "image/jpeg"}
    return row | {"original_height": "400", "original_width": "600"} | texts


def write_tsv(path: Path, rows: list[dict[str, str]], tail: bytes = b"") -> Path:
    """A TSV as WIT's authors wrote theirs: quoted where a text needs it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    data = text.getvalue().encode() + tail
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def make_wit(tmp_path: Path) -> tuple[Path, Path]:
    """Two TSV files that share an image, and a folder with four of the five images."""
    long_text = 'He said "no"\nand left.\tThen he came back. ' + "x" * 200_000
    write_tsv(
        tmp_path / "tsv/wit_0.tsv.gz",
        [
            wit_row("b%28c%29.jpg", page_title="B", context_page_description=long_text),
            wit_row("a.png", "de", caption_reference_description="ein A", page_title="A (de)"),
            wit_row("missing.jpg", page_title="Lost"),
        ],
    )
    write_tsv(
        tmp_path / "tsv/wit_1.tsv",
        [
            wit_row("a.png", "iw", caption_alt_text_description="alef"),
            wit_row("a.png", "de", caption_reference_description="ein A", section_title="Teil"),
            wit_row("hashed.jpg", caption_attribution_description="by me"),
            wit_row("md5.webp", context_section_description="section"),
        ],
    )
    images = tmp_path / "images"
    (images / "sub").mkdir(parents=True)
    (images / "sub/b(c).jpg").write_bytes(make_image(1))
    (images / "a.png").write_bytes(make_image(2, form="PNG"))
    sha1 = hashlib.sha1((BASE + "hashed.jpg").encode()).hexdigest()
    (images / f"{sha1}.jpg").write_bytes(make_image(3))
    md5 = hashlib.md5((BASE + "md5.webp").encode()).hexdigest()
    (images / f"{md5}.jpg").write_bytes(make_image(4, form="WEBP"))
    return tmp_path / "tsv", images


def read_texts(tmp_path: Path) -> dict[str, list[tuple[str, str, int, str]]]:
    """Texts by the last part of the URL."""
    urls = {row["example_id"]: row["source_url"] for row in read_rows(tmp_path, "examples")}
    found: dict[str, list[tuple[str, str, int, str]]] = {}
    for row in read_rows(tmp_path, "texts"):
        name = urls[row["example_id"]].removeprefix(BASE)
        entry = (row["language"], row["text_kind"], row["text_rank"], row["text"][:8])
        found.setdefault(name, []).append(entry)
    return found


def test_wit_from_a_folder_of_images(tmp_path: Path) -> None:
    tsv, images = make_wit(tmp_path)
    options = {"images": str(images)}
    summary = ingest_paths(tmp_path, "wit", tsv, options=options, shard_size=2)
    assert (summary.read_count, summary.written_count, summary.rejected_count) == (5, 4, 1)
    assert read_texts(tmp_path) == {
        "a.png": [
            ("de", "caption", 1, "ein A"),
            ("de", "section_title", 1, "Teil"),
            ("de", "page_title", 1, "A (de)"),
            ("he", "alt", 1, "alef"),
        ],
        "b%28c%29.jpg": [("en", "page_title", 1, "B"), ("en", "page", 1, "He said ")],
        "hashed.jpg": [("en", "attribution", 1, "by me")],
        "md5.webp": [("en", "section", 1, "section")],
    }
    examples = read_rows(tmp_path, "examples")
    assert [row["mime_type"] for row in examples] == [
        "image/png", "image/jpeg", "image/jpeg", "image/webp",
    ]  # fmt: skip
    (long_text,) = (
        row["text"] for row in read_rows(tmp_path, "texts") if row["text_kind"] == "page"
    )
    assert long_text.startswith('He said "no"\nand left.\tThen he came back.')
    (reject,) = read_rows(tmp_path, "rejects")
    assert (reject["stage"], reject["reason"]) == ("source", "image_missing")
    assert reject["detail"] == f"no image of {BASE}missing.jpg was found"


def test_wit_goes_on_after_a_stop_and_does_nothing_when_done(tmp_path: Path) -> None:
    tsv, images = make_wit(tmp_path)
    settings: dict[str, Any] = {"options": {"images": str(images)}, "shard_size": 1}
    ingest_paths(tmp_path, "wit", tsv, **settings)
    before, whole = snapshot(tmp_path), snapshot(tmp_path, with_times=False)
    assert len(read_manifests(tmp_path)) == 4
    ingest_paths(tmp_path, "wit", tsv, **settings)
    assert snapshot(tmp_path) == before
    for ordinal in (2, 3):
        for file in (tmp_path / "warehouse/dataset=d").rglob(f"0000{ordinal}.*"):
            file.unlink()
    ingest_paths(tmp_path, "wit", tsv, **settings)
    assert snapshot(tmp_path, with_times=False) == whole


def test_wit_from_the_output_of_img2dataset(tmp_path: Path) -> None:
    tsv = write_tsv(tmp_path / "wit.tsv", [wit_row("a.jpg"), wit_row("b.jpg"), wit_row("c.jpg")])
    samples = [
        {"__key__": str(n), "jpg": make_image(n), "json": json.dumps({"url": BASE + name}).encode()}
        for n, name in enumerate(["c.jpg", "a.jpg", "other.jpg"])
    ]
    tar = write_tar(tmp_path / "out/00000.tar", samples)
    options = {"images": str(tmp_path / "out")}
    ingest_paths(tmp_path, "wit", tsv, options=options)
    examples = read_rows(tmp_path, "examples")
    assert [row["source_url"] for row in examples] == [BASE + "a.jpg", BASE + "c.jpg"]
    hashes = [hashlib.sha256(make_image(n)).hexdigest() for n in (1, 0)]
    assert [row["image_sha256"] for row in examples] == hashes
    assert [row["reason"] for row in read_rows(tmp_path, "rejects")] == ["image_missing"]
    tar.write_bytes(tar.read_bytes()[:2000])
    with pytest.raises(DamagedShardError, match=r"00000\.tar ends in"):
        ingest_paths(tmp_path, "wit", tsv, options=options)


def test_one_file_name_for_two_urls_is_ambiguous(tmp_path: Path) -> None:
    rows = [wit_row("x/a.jpg"), wit_row("y/a.jpg"), wit_row("b.jpg")]
    tsv = write_tsv(tmp_path / "wit.tsv", rows)
    images = tmp_path / "images"
    images.mkdir()
    for n, name in enumerate(["a.jpg", "b.jpg"]):
        (images / name).write_bytes(make_image(n))
    ingest_paths(tmp_path, "wit", tsv, options={"images": str(images)})
    assert [row["reason"] for row in read_rows(tmp_path, "rejects")] == ["image_ambiguous"] * 2
    assert [row["source_url"] for row in read_rows(tmp_path, "examples")] == [BASE + "b.jpg"]


def test_bad_rows_become_rejects(tmp_path: Path) -> None:
    tail = b"too\tfew\n" + b"\t" * 16 + b"\n" + b"\xff\t\t" + BASE.encode() + b"z.jpg" + b"\t" * 14
    tsv = write_tsv(tmp_path / "wit.tsv", [wit_row("a.jpg")], tail)
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.jpg").write_bytes(make_image())
    ingest_paths(tmp_path, "wit", tsv, options={"images": str(tmp_path / "images")})
    rejects = read_rows(tmp_path, "rejects")
    assert [row["reason"] for row in rejects] == ["bad_tsv_row", "bad_tsv_row", "image_missing"]
    assert [row["detail"].split(" ", 4)[-1] for row in rejects[:2]] == [
        "has 2 columns instead of 17",
        "has no image_url",
    ]
    assert rejects[0]["shard_key"] == "wit.tsv:3"


def test_wrong_wit(tmp_path: Path) -> None:
    tsv, images = make_wit(tmp_path)
    with pytest.raises(ConfigError, match="needs the images"):
        ingest_paths(tmp_path, "wit", tsv)
    with pytest.raises(SourceError, match=r"images .*nowhere are not there"):
        ingest_paths(tmp_path, "wit", tsv, options={"images": str(tmp_path / "nowhere")})
    with pytest.raises(SourceError, match=r"holds no \.tsv or \.tsv\.gz file"):
        ingest_paths(tmp_path, "wit", images, options={"images": str(images)})
    with pytest.raises(SourceError, match=r"holds no image\."):
        ingest_paths(tmp_path, "wit", tsv, options={"images": str(tsv)})
    cut = tmp_path / "cut.tsv.gz"
    cut.write_bytes((tsv / "wit_0.tsv.gz").read_bytes()[:-30])
    with pytest.raises(SourceError, match=r"cut\.tsv\.gz could not be read: EOFError"):
        ingest_paths(tmp_path, "wit", cut, options={"images": str(images)})
    other = tmp_path / "other.tsv"
    other.write_text("language\timage_url\n")
    with pytest.raises(SourceError, match="its header lacks page_url, page_title"):
        ingest_paths(tmp_path, "wit", other, options={"images": str(images)})


def test_url_table(tmp_path: Path) -> None:
    tsv, _ = make_wit(tmp_path)
    write_tsv(
        tsv / "wit_2.tsv",
        [wit_row("a.png", "en", caption_alt_text_description="an A", original_width="601")],
    )
    out = tmp_path / "urls.parquet"
    assert write_url_table([str(tsv)], str(out)) == 5
    rows = pq.read_table(out).to_pylist()
    assert rows[0] == {
        "url": BASE + "a.png",
        "caption": "an A",
        "mime_type": "image/jpeg",
        "wit_original_height": 400,
        "wit_original_width": 601,
    }
    assert [row["caption"] for row in rows] == ["an A", "B", "by me", None, "Lost"]


def make_features(count: int) -> dict[str, list[Any]]:
    return {
        "language": ["en", "fr"][:count],
        "page_url": ["u"] * count,
        "attribution_passes_lang_id": [True] * count,
        "caption_alt_text_description": [None] * count,
        "caption_reference_description": ["cat", "chat"][:count],
        "caption_title_and_reference_description": ["T [SEP] cat"] * count,
        "context_page_description": ["long"] * count,
        "context_section_description": [None] * count,
        "hierarchical_section_title": ["T"] * count,
        "is_main_image": [True] * count,
        "page_changed_recently": [True] * count,
        "page_title": ["Cat", "Chat"][:count],
        "section_title": [None] * count,
    }


def wit_base_row(n: int, data: bytes | None, features: dict[str, list[Any]]) -> dict[str, Any]:
    return {
        "image": {"bytes": data, "path": None},
        "image_url": f"{BASE}{n}.jpg",
        "embedding": [0.5],
        "metadata_url": "m",
        "original_height": 400,
        "original_width": 600,
        "mime_type": "image/jpeg",
        "caption_attribution_description": "English: a cat" if n == 0 else None,
        "wit_features": features,
    }


def test_wit_base(tmp_path: Path) -> None:
    uneven = make_features(2) | {"language": ["en"]}
    rows = [
        wit_base_row(0, make_image(0), make_features(2)),
        wit_base_row(1, None, make_features(1)),
        wit_base_row(2, make_image(2), uneven),
        wit_base_row(3, make_image(3), make_features(0)),
    ]
    (tmp_path / "in").mkdir()
    pq.write_table(pa.Table.from_pylist(rows[:2]), tmp_path / "in/train-0.parquet")
    pq.write_table(pa.Table.from_pylist(rows[2:]), tmp_path / "in/train-1.parquet")
    summary = ingest_paths(tmp_path, "wit-base", tmp_path / "in")
    assert (summary.read_count, summary.written_count, summary.rejected_count) == (4, 3, 1)
    assert [row["reason"] for row in read_rows(tmp_path, "rejects")] == ["image_missing"]
    (notice,) = read_rows(tmp_path, "notices")
    assert (notice["position"], notice["reason"]) == (1, "text_unreadable")
    assert notice["detail"] == "the lists of wit_features have 1, 2 entries"
    assert [
        (row["language"], row["text_kind"], row["text"], row["page_title"])
        for row in read_rows(tmp_path, "texts")
    ] == [
        ("en", "caption", "cat", "Cat"),
        ("en", "page_title", "Cat", "Cat"),
        ("en", "page", "long", "Cat"),
        ("fr", "caption", "chat", "Chat"),
        ("fr", "page_title", "Chat", "Chat"),
        ("fr", "page", "long", "Chat"),
        ("und", "attribution", "English: a cat", None),
    ]
    before = snapshot(tmp_path)
    ingest_paths(tmp_path, "wit-base", tmp_path / "in")
    assert snapshot(tmp_path) == before


def test_wrong_wit_base(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 no")
    with pytest.raises(SourceError, match=r"x\.parquet could not be read"):
        ingest_paths(tmp_path, "wit-base", path)
    pq.write_table(pa.table({"image": [1]}), path)
    with pytest.raises(SourceError, match="it has no column image_url"):
        ingest_paths(tmp_path, "wit-base", path)


def test_openmoji(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py", reason="pip install resvg-py to draw OpenMoji")
    options = {"limit": 5, "size_px": 32, "languages": ["en", "de"]}
    summary = ingest_paths(tmp_path, "openmoji", options=options, shard_size=3)
    assert (summary.shard_count, summary.written_count) == (2, 5)
    assert {row["language"] for row in read_rows(tmp_path, "texts")} == {"en", "de"}
    assert all(row["width_px"] == 32 for row in read_rows(tmp_path, "examples"))
