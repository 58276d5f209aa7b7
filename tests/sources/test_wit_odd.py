"""WIT as people have it: odd rows and files, other spellings of names, other forms of Parquet."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import ingest_paths, make_image, read_manifests, read_rows, write_tar
from test_wit import BASE, read_texts, wit_row, write_tsv

from pipeline.base.errors import SourceError
from pipeline.base.progress import NoProgress
from pipeline.sources.ingest import IngestSummary
from pipeline.sources.layouts.wit_base import list_files
from pipeline.sources.layouts.wit_tsv import COLUMNS, connect, load_tsv
from pipeline.sources.texts.rows import read_rows as read_table_rows


def make_images(tmp_path: Path, *names: str) -> Path:
    folder = tmp_path / "images"
    folder.mkdir(exist_ok=True)
    for n, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(make_image(n))
    return folder


def ingest_wit(tmp_path: Path, tsv: Path, images: Path) -> IngestSummary:
    return ingest_paths(tmp_path, "wit", tsv, options={"images": str(images)})


def raw(name: str, **fields: str) -> bytes:
    """A row whose cells are written as they stand, without quoting."""
    return "\t".join(wit_row(name, **fields)[column] for column in COLUMNS).encode()


def test_good_rows_are_read_whatever_stands_beside_them(tmp_path: Path) -> None:
    texts = {"page_title": 'Say "hi"', "context_page_description": "two\nlines\tand a tab"}
    good = [wit_row(f"{n}.jpg", **texts) for n in range(4)]
    path = write_tsv(tmp_path / "good.tsv", good)
    header, *rows = path.read_bytes().split(b"\n" + good[0]["language"].encode() + b"\t")
    rows = [b"en\t" + row.rstrip(b"\n") for row in rows]
    bad = raw("bad.jpg", caption_reference_description='"an opened quote')
    inch = raw("inch.jpg", page_title='a 12" screen')
    cut = raw("cr.jpg", page_title="A\rB")
    lines = [header, bad, rows[0], b"too\tfew", rows[1], b"", bad, inch, rows[2], cut, rows[3], bad]
    path.write_bytes(b"\n".join(lines))
    images = make_images(tmp_path, *(f"{n}.jpg" for n in range(4)), "inch.jpg", "cr.jpg")
    ingest_wit(tmp_path, path, images)
    found = read_texts(tmp_path)
    assert sorted(found) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "cr.jpg", "inch.jpg"]
    assert all(len(found[f"{n}.jpg"]) == 2 for n in range(4))
    rejects = read_rows(tmp_path, "rejects")
    assert [row["shard_key"] for row in rejects] == [f"good.tsv:{n}" for n in (2, 5, 9, 16)]


CELLS = st.text('ab"\t\n\r é', max_size=6)


@settings(max_examples=100)
@given(
    st.lists(CELLS, min_size=2, max_size=5), st.sampled_from(['"x', "x", 'a "b" c', '"a" b', ""])
)
def test_what_python_writes_is_read_beside_any_line(cells: list[str], junk: str) -> None:
    import csv
    import io

    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter="\t", lineterminator="\n")
    writer.writerow(["http://a", "1", "2", *cells, "end"])
    row = file.getvalue()

    def is_row(values: list[str]) -> bool:
        return values[0] == "http://a" and len(values) >= 3

    lines = f"{junk}\n{row}{junk}\n{row}".split("\n")[:-1]
    found = [r.values for r in read_table_rows([f"{line}\n" for line in lines], "\t", is_row)]
    assert found.count(["http://a", "1", "2", *cells, "end"]) == 2


def test_files_of_other_programs(tmp_path: Path) -> None:
    rows = [wit_row(f"{n}.jpg", page_title=f"T{n}") for n in range(4)]
    plain = write_tsv(tmp_path / "plain.tsv", rows).read_bytes()
    header, body = plain.split(b"\n", 1)
    first, rest = plain[: len(plain) // 2], plain[len(plain) // 2 :]
    files = {
        "bom.tsv": b"\xef\xbb\xbf" + plain,
        "crlf.tsv": plain.replace(b"\n", b"\r\n"),
        "joined.tsv": plain + header + b"\n" + body,
        "joined-bom.tsv": plain + b"\xef\xbb\xbf" + plain,
        "glued.tsv.gz": gzip.compress(first) + gzip.compress(rest) + bytes(64),
        "glued-whole.tsv.gz": gzip.compress(plain) + gzip.compress(plain),
        "unpacked.tsv": gzip.compress(plain),
        "named.tsv.gz": plain,
        "piece.tsv": body,
        "nul.tsv": plain.replace(b"T2", b"T\x002"),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        with connect(str(tmp_path)) as con:
            odd = load_tsv(con, str(tmp_path), [str(tmp_path / name)], ("image_url",), NoProgress())
            urls = con.sql("select distinct image_url from tsv_rows order by 1").fetchall()
            con.execute("drop view tsv_rows")
        assert (urls, odd.bad) == ([(BASE + f"{n}.jpg",) for n in range(4)], []), name
    (tmp_path / "cut.tsv.gz").write_bytes(gzip.compress(plain)[:-30])
    with pytest.raises(SourceError, match=r"cut\.tsv\.gz could not be read: EOFError"):
        ingest_wit(tmp_path, tmp_path / "cut.tsv.gz", make_images(tmp_path, "0.jpg"))


def test_a_cell_that_is_not_utf8_costs_its_text_alone(tmp_path: Path) -> None:
    lines = [
        "\t".join(COLUMNS).encode(),
        raw("a.jpg", page_title="good", caption_alt_text_description="XX"),
        raw("b.jpg", page_title="XX"),
    ]
    data = (
        b"\n".join(lines)
        .replace(b"XX", "犬".encode("shift_jis"), 1)
        .replace(b"XX", b"caf\xe9 here")
    )
    (tmp_path / "wit.tsv").write_bytes(data)
    ingest_wit(tmp_path, tmp_path / "wit.tsv", make_images(tmp_path, "a.jpg", "b.jpg"))
    assert [row["text"] for row in read_rows(tmp_path, "texts")] == ["good", "café here"]
    told = [
        (row["position"], row["stage"], row["reason"]) for row in read_rows(tmp_path, "notices")
    ]
    assert told == [(0, "source", "text_unreadable"), (1, "source", "text_guessed")]


def test_columns_that_nobody_needs_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "wit.tsv").write_text(f"page_title\timage_url\nA\t{BASE}a.jpg\n")
    ingest_wit(tmp_path, tmp_path / "wit.tsv", make_images(tmp_path, "a.jpg"))
    assert read_texts(tmp_path) == {"a.jpg": [("und", "page_title", 1, "A")]}


def test_http_and_https_are_one_image(tmp_path: Path) -> None:
    rows = [wit_row("a.jpg", page_title="one"), wit_row("a.jpg", "de", page_title="zwei")]
    rows[1]["image_url"] = rows[1]["image_url"].replace("https:", "http:")
    rows.append(wit_row("b.jpg") | {"image_url": BASE.replace("https:", "http:") + "b.jpg"})
    tsv = write_tsv(tmp_path / "wit.tsv", rows)
    ingest_wit(tmp_path, tsv, make_images(tmp_path, "a.jpg", "b.jpg"))
    urls = [row["source_url"] for row in read_rows(tmp_path, "examples")]
    assert urls == [BASE + "a.jpg", BASE.replace("https:", "http:") + "b.jpg"]
    assert [row["text"] for row in read_rows(tmp_path, "texts")] == ["zwei", "one"]


def test_thumbnails_and_other_spellings(tmp_path: Path) -> None:
    names = {
        "Drawing.svg": ("200px-Drawing.svg.png", "s/800px-Drawing.svg.png"),
        "g.tif": ("lossy-page1-200px-g.tif.jpg",),
        "Big.jpg": ("320px-Big.jpg", "640px-Big.jpg"),
        "Caf%C3%A9.jpg": ("Cafe\u0301.jpg",),
        "Foo_bar_%28x%29.jpg": ("Foo bar (x).jpg",),
        "12px-own.jpg": ("12px-own.jpg",),
        "own.jpg": (),
    }
    tsv = write_tsv(tmp_path / "wit.tsv", [wit_row(name) for name in names])
    files = [file for found in names.values() for file in found]
    ingest_wit(tmp_path, tsv, make_images(tmp_path, *files))
    examples = {row["source_url"].removeprefix(BASE) for row in read_rows(tmp_path, "examples")}
    assert examples == set(names) - {"Drawing.svg", "own.jpg"}
    rejects = {
        row["detail"].rsplit("/", 1)[-1]: row["reason"] for row in read_rows(tmp_path, "rejects")
    }
    assert rejects == {"Drawing.svg": "image_ambiguous", "own.jpg was found": "image_missing"}
    sizes = {row["source_url"]: row["image_sha256"] for row in read_rows(tmp_path, "examples")}
    import hashlib

    widest = hashlib.sha256(make_image(files.index("640px-Big.jpg"))).hexdigest()
    assert sizes[BASE + "Big.jpg"] == widest


def test_the_files_of_img2dataset_are_known_by_their_json(tmp_path: Path) -> None:
    tsv = write_tsv(tmp_path / "wit.tsv", [wit_row("a.jpg"), wit_row("b.jpg")])
    images = make_images(tmp_path, "00000/0.jpg", "00000/1.jpg")
    for n, name in enumerate(("b.jpg", "a.jpg")):
        url = BASE.replace("https:", "http:") + name
        (images / f"00000/{n}.json").write_text(json.dumps({"url": url}))
    ingest_wit(tmp_path, tsv, images)
    assert [row["source_url"] for row in read_rows(tmp_path, "examples")] == [
        BASE + "a.jpg",
        BASE + "b.jpg",
    ]


def test_empty_tars_of_images_and_nested_ones(tmp_path: Path) -> None:
    tsv = write_tsv(tmp_path / "wit.tsv", [wit_row("a.jpg")])
    record = json.dumps({"url": BASE.replace("https:", "http:") + "a.jpg"}).encode()
    write_tar(
        tmp_path / "out/part-1/0.tar", [{"__key__": "0", "jpg": make_image(), "json": record}]
    )
    write_tar(tmp_path / "out/part-0/0.tar", [])
    assert ingest_wit(tmp_path, tsv, tmp_path / "out").written_count == 1


def test_a_shard_without_any_image_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sources.writer._MIN_ITEMS", 5)
    tsv = write_tsv(tmp_path / "wit.tsv", [wit_row(f"{n:02d}.jpg") for n in range(12)])
    images = make_images(tmp_path, "11.jpg")
    for _ in range(2):
        options = {"images": str(images)}
        summary = ingest_paths(tmp_path, "wit", tsv, options=options, shard_size=1 // 1)
        assert (summary.read_count, summary.written_count, summary.rejected_count) == (12, 1, 11)
    assert {row["status"] for row in read_manifests(tmp_path)} == {"done"}


FORMS = {
    "record": lambda data: {"bytes": data, "path": None},
    "bytes": lambda data: data,
    "list": list,
    "record of a list": lambda data: {"bytes": list(data)},
}


@pytest.mark.parametrize("form", FORMS)
def test_wit_base_in_every_form(tmp_path: Path, form: str) -> None:
    features = {"language": ["en", "fr"], "page_title": ["A", None], "section_title": None}
    features["caption_reference_description"] = ["cat", "chat"]
    rows = [
        {
            "image": FORMS[form](make_image(n)),
            "image_url": url,
            "wit_features": features if n else None,
        }
        for n, url in enumerate([None, "http://x/1.jpg"])
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    summary = ingest_paths(tmp_path, "wit-base", tmp_path / "a.parquet")
    assert (summary.written_count, summary.rejected_count) == (2, 0)
    assert [row["source_url"] for row in read_rows(tmp_path, "examples")] == [
        None,
        "http://x/1.jpg",
    ]
    texts = [(row["language"], row["text"]) for row in read_rows(tmp_path, "texts")]
    assert texts == [("en", "cat"), ("en", "A"), ("fr", "chat")]


def test_wit_base_images_that_are_none(tmp_path: Path) -> None:
    good = [int(byte) for byte in make_image()]
    table = {
        "image": [[300], None, [], good],
        "image_url": ["http://x/0", None, None, "http://x/3"],
    }
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    ingest_paths(tmp_path, "wit-base", tmp_path / "a.parquet")
    assert [row["reason"] for row in read_rows(tmp_path, "rejects")] == [
        "image_unreadable", "image_missing", "image_missing",
    ]  # fmt: skip
    assert "row 2 of a.parquet" in read_rows(tmp_path, "rejects")[1]["detail"]


def test_a_folder_means_its_tables_at_any_depth(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.tsv", "sub/b.TSV", "sub/c.tsv.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "d.tsv.bz2").write_bytes(b"x")
    found = list_files([str(tmp_path)], (".tsv", ".tsv.gz"))
    assert found == [f"{tmp_path}/{name}" for name in ("a.tsv", "sub/b.TSV", "sub/c.tsv.gz")]
    assert "holds 1 files that are not read: d.tsv.bz2. Unpack them" in caplog.text
