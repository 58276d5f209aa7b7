"""Folders as people have them: leftovers, sidecars of every kind, links, pipes, odd names and tables."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from making import ingest_paths, read_manifests, read_rows
from test_folder import fill, read_captions

from pipeline.base.errors import SourceError
from pipeline.base.folders import list_folder
from pipeline.base.places import open_place
from pipeline.sources.texts.rows import Row
from pipeline.sources.texts.rows import read_rows as read_table_rows


def notices(tmp_path: Path) -> dict[str, str]:
    """Detail by reason of what was passed over."""
    rows = read_rows(tmp_path, "notices")
    return {row["reason"]: row["detail"] for row in rows if row["position"] is None}


def test_leftovers_are_counted_and_never_fail_a_shard(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 3)
    for name in (
        "__MACOSX/._000.jpg", "._001.jpg", ".DS_Store", "Thumbs.db", ".git/a.png",
        ".ipynb_checkpoints/000-checkpoint.jpg", "a.mp3", "b.MP3", "c.pdf", "noending",
    ):  # fmt: skip
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    summary = ingest_paths(tmp_path, "folder", folder)
    assert (summary.read_count, summary.written_count, summary.rejected_count) == (3, 3, 0)
    assert summary.notice_counts == {"hidden_file": 6, "other_file": 4}
    assert notices(tmp_path) == {
        "hidden_file": ".DS_Store: 1, ._*: 1, .git: 1, .ipynb_checkpoints: 1, Thumbs.db: 1, __MACOSX: 1",
        "other_file": "mp3: 2, no ending: 1, pdf: 1",
    }
    (folder / "d.mp3").write_bytes(b"x")
    fill(folder, 1, first=9)
    summary = ingest_paths(
        tmp_path, "folder", folder
    )  # grows in spite of them, and tells the new one
    assert summary.notice_counts == {"hidden_file": 6, "other_file": 5}
    assert [row["written_count"] for row in read_manifests(tmp_path)] == [3, 1]


def test_an_ingest_of_before_that_had_counted_other_files_as_rejects_goes_on(
    tmp_path: Path,
) -> None:
    folder = fill(tmp_path / "in", 2)
    (folder / "z.mp3").write_bytes(b"x")
    ingest_paths(tmp_path, "folder", folder)
    path = tmp_path / "warehouse/dataset=d/manifests/00000.json"
    old = json.loads(path.read_text())
    for field in ("format", "checksum", "passed_over", "notice_reasons"):
        old.pop(field, None)
    old |= {"source_count": 3, "source_digest": "other", "rejected_count": 1, "read_count": 3}
    path.write_text(json.dumps(old | {"reject_reasons": {"unknown_extension": 1}}))
    assert ingest_paths(tmp_path, "folder", folder).written_count == 2


def test_pictures_that_nothing_reads_are_rejects_that_say_so(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 1)
    (folder / "a.HEIC").write_bytes(b"x")
    (folder / "b.svg").write_bytes(b"x")
    ingest_paths(tmp_path, "folder", folder)
    rows = read_rows(tmp_path, "rejects")
    assert {row["reason"] for row in rows} == {"unsupported_format"}
    assert rows[0]["detail"] == "a.HEIC: nothing here reads .heic; convert it to JPEG, PNG or WebP"


def test_sidecars_of_every_kind(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 6)
    record = {"url": "http://x/1", "caption": "eine Gitarre", "LANGUAGE": "de", "status": "success"}
    (folder / "000.json").write_text(json.dumps(record))
    (folder / "000.txt").write_text("eine Gitarre")
    (folder / "001.jpg.json").write_text('{"caption": "behind the ending"}')
    (folder / "002.TXT").write_text("upper case")
    (folder / "003.txt").write_text("a dog")
    (folder / "003.de.txt").write_text("ein Hund")
    (folder / "004.txt").write_bytes("犬".encode("shift_jis"))
    (folder / "sub").mkdir()
    (folder / "sub/005.txt").write_text("parted from its image")
    (folder / "sub/005.json").write_text("{}")
    (folder / "info.json").write_text("{}")
    summary = ingest_paths(tmp_path, "folder", folder)
    assert (summary.written_count, summary.rejected_count) == (6, 2)
    assert read_captions(tmp_path) == {
        "000": [("de", "caption", "eine Gitarre")],
        "001": [("und", "caption", "behind the ending")],
        "002": [("und", "caption", "upper case")],
        "003": [("und", "caption", "a dog"), ("de", "caption", "ein Hund")],
        "004": [],
        "005": [],
    }
    assert read_rows(tmp_path, "examples")[0]["source_url"] == "http://x/1"
    rejects = read_rows(tmp_path, "rejects")
    assert [(row["shard_key"], row["reason"]) for row in rejects] == [
        ("sub/005.json", "image_missing"),
        ("sub/005.txt", "image_missing"),
    ]
    assert "has no image beside it; 005 has that name in another folder" in rejects[0]["detail"]
    assert summary.notice_counts == {"other_file": 1, "text_unreadable": 1}
    told = next(row for row in read_rows(tmp_path, "notices") if row["position"] is not None)
    assert (told["shard_key"], told["stage"], told["position"]) == ("004", "source", 4)


def test_pipes_sockets_and_loops_of_links_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "in", 1)
    fill(tmp_path / "elsewhere", 1, first=5)
    os.mkfifo(folder / "pipe.jpg")
    os.mkfifo(folder / "000.txt")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket.jpg")
    (folder / "up").symlink_to("..")
    (folder / "self").symlink_to(".")
    (folder / "more").symlink_to("../elsewhere")
    (folder / "again").symlink_to("../elsewhere")
    (folder / "linked.jpg").symlink_to("../elsewhere/005.jpg")
    (folder / "gone.jpg").symlink_to("nothing.jpg")
    (folder / "folder.jpg").mkdir()
    summary = ingest_paths(tmp_path, "folder", folder)
    assert list(read_captions(tmp_path)) == ["000", "again/005", "linked"]
    assert [(row["shard_key"], row["reason"]) for row in read_rows(tmp_path, "rejects")] == [
        ("gone.jpg", "image_unreadable")
    ]
    assert summary.notice_counts == {"special_file": 6}
    assert notices(tmp_path)["special_file"] == (
        "link to a folder that is listed already: 3, pipe: 2, socket: 1"
    )
    with pytest.raises(SourceError, match=r"pipe\.jpg could not be read: it is no file"):
        ingest_paths(tmp_path, "folder", folder, options={"captions": str(folder / "pipe.jpg")})


def test_a_listing_in_memory_is_the_same(tmp_path: Path) -> None:
    fs, root = open_place("memory://listing")
    for name in ("b/a.jpg", "a.jpg", ".DS_Store", "__MACOSX/._a.jpg"):
        fs.pipe(f"{root}/{name}", b"x")
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert list_folder(fs, root) == list_folder(*open_place(str(tmp_path)))
    fs.rm(root, recursive=True)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", "file,caption\n000.jpg,café\n001.jpg,dog\n".encode()),
        ("a.csv", "file;caption\n000.jpg;café\n001.jpg;dog\n".encode("cp1252")),
        ("a.csv", "\ufeffFile Name,Caption\r\n000.JPG,café\r\n001.jpg,dog\r\n".encode()),
        ("a.csv", "file\tcaption\n000.jpg\tcafé\n001.jpg\tdog\n".encode("utf-16")),
        ("a.csv", "sep=;\n\"file\";\"caption\"\n\"000.jpg\";\"café\"\n.\\001.jpg;dog\n".encode("latin-1")),
        ("a.csv", b"file,caption\r000.jpg,caf\xc3\xa9\r001.jpg,dog\r"),
        ("a.tsv", "file\tcaption\n000.jpg\tcafé\n001.jpg\tdog\n".encode()),
        ("A.JSONL", '{"file": "000.jpg", "text": "café"}\n{"file": "001.jpg", "text": "dog"}'.encode()),
        ("a.jsonl", '{"file": "000.jpg", "text": "café"}\n{"File": "001.jpg", "text": ["dog"]}'.encode()),
    ],
)  # fmt: skip
def test_tables_of_other_programs(tmp_path: Path, name: str, data: bytes) -> None:
    folder = fill(tmp_path / "in", 2)
    (folder / name).write_bytes(data)
    ingest_paths(tmp_path, "folder", folder)
    captions = {key: [text for *_, text in found] for key, found in read_captions(tmp_path).items()}
    assert captions == {"000": ["café"], "001": ["dog"]}
    assert read_rows(tmp_path, "rejects") == []


def test_texts_beside_a_table_that_was_named_are_counted(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 1)
    (folder / "a.csv").write_text("file,caption\n000.jpg,a dog\n")
    (folder / "000.txt").write_text("a cat")
    options = {"captions": str(folder / "a.csv")}
    summary = ingest_paths(tmp_path, "folder", folder, options=options)
    assert (summary.written_count, summary.text_count) == (1, 1)
    assert notices(tmp_path) == {"other_file": "txt: 1"}


def test_a_column_that_comes_twice_is_refused(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 1)
    (folder / "a.csv").write_text("file,caption,Caption\n000.jpg,a dog,a cat\n")
    with pytest.raises(SourceError, match=r"a\.csv have the column caption 2 times"):
        ingest_paths(tmp_path, "folder", folder)


def test_an_odd_row_costs_no_other_row(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 5)
    rows = [
        'file,caption', '000.jpg,"an opened quote', '001.jpg,good', '002.jpg,"two\nlines, ""quoted"""',
        "003.jpg,one, two", '004.jpg,' + "x" * 200_000, "001.jpg,\"ends\" badly", "002.jpg,nan", "003.jpg,",
    ]  # fmt: skip
    (folder / "a.csv").write_text("\n".join(rows))
    ingest_paths(tmp_path, "folder", folder)
    captions = {key: [text for *_, text in found] for key, found in read_captions(tmp_path).items()}
    assert captions == {
        "000": [], "001": ["good"], "002": ['two\nlines, "quoted"'], "003": [], "004": ["x" * 200_000],
    }  # fmt: skip
    rejects = read_rows(tmp_path, "rejects")
    assert [row["shard_key"].split()[1] for row in rejects] == ["2", "6", "8"]
    assert {row["reason"] for row in rejects} == {"bad_caption_row"}
    told = [(row["shard_key"], row["reason"]) for row in read_rows(tmp_path, "notices")]
    assert told == [("002", "text_left_out"), ("003", "text_empty")]


def test_rows_are_found_again_behind_every_bad_one() -> None:
    def read(*lines: str) -> list[Row]:
        return list(
            read_table_rows([f"{line}\n" for line in lines], "\t", lambda values: len(values) > 3)
        )

    assert read("a\tb", '"x\ty"\tz', "", 'c\t5" nail') == [
        Row(1, ["a", "b"]), Row(2, ["x\ty", "z"]), Row(4, ["c", '5" nail'])
    ]  # fmt: skip
    assert read('a\t"x', 'y"\tb', "c\td") == [Row(1, ["a", "x\ny", "b"]), Row(3, ["c", "d"])]
    opened = "opens a quote that is not closed"
    assert read('a\t"x', "b\tc", 'd\t"e"') == [
        Row(1, [], opened), Row(2, ["b", "c"]), Row(3, ["d", "e"])
    ]  # fmt: skip
    assert read('a\t"x', "1\t2\t3\t4", 'd\te"') == [
        Row(1, [], opened), Row(2, ["1", "2", "3", "4"]), Row(3, ["d", 'e"'])
    ]  # fmt: skip
