from __future__ import annotations

import json
from pathlib import Path

import pytest
from making import ingest_paths, make_image, read_manifests, read_rows, snapshot

from pipeline.base.errors import ShardError, SourceError
from pipeline.sources.writer import clean_key
from pipeline.tables.tars import open_shard, read_samples


def fill(folder: Path, count: int, first: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(first, first + count):
        (folder / f"{n:03d}.jpg").write_bytes(make_image(n))
    return folder


def read_captions(tmp_path: Path) -> dict[str, list[tuple[str, str, str]]]:
    """Texts by key."""
    keys = {row["example_id"]: row["shard_key"] for row in read_rows(tmp_path, "examples")}
    found: dict[str, list[tuple[str, str, str]]] = {key: [] for key in keys.values()}
    for row in read_rows(tmp_path, "texts"):
        found[keys[row["example_id"]]].append((row["language"], row["text_kind"], row["text"]))
    return found


def test_sidecars_and_csv(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 2)
    (folder / "b c").mkdir()
    (folder / "b c/x.y.PNG").write_bytes(make_image(7, form="PNG"))
    (folder / "b c/x.y.txt").write_text("from the sidecar\n")
    (folder / "table.csv").write_text(
        "file_name,caption,language,text_kind,url\n"
        '000.jpg,"one, two",en,,http://x/0\n'
        "./000.jpg,eins,de,alt,\n"
        "x.y.PNG,by name,en,caption,\n"
        "lost.jpg,nothing,en,caption,\n"
        ",no file,en,caption,\n"
        "000.jpg,strange,en,poem,\n"
    )
    (folder / "notes.docx").write_bytes(b"?")
    (folder / "alone.txt").write_text("a caption without an image")
    summary = ingest_paths(tmp_path, "folder", folder)
    assert (summary.read_count, summary.written_count, summary.rejected_count) == (7, 3, 4)
    assert read_captions(tmp_path) == {
        "000": [("en", "caption", "one, two"), ("de", "alt", "eins")],
        "001": [],
        "b c/x_y": [("en", "caption", "by name"), ("und", "caption", "from the sidecar")],
    }
    assert read_rows(tmp_path, "examples")[0]["source_url"] == "http://x/0"
    assert [
        (row["position"], row["stage"], row["reason"], row["shard_key"])
        for row in read_rows(tmp_path, "rejects")
    ] == [
        (3, "source", "image_missing", "lost.jpg"),
        (4, "source", "bad_caption_row", f"line 6 of {folder}/table.csv"),
        (5, "source", "bad_caption_row", f"line 7 of {folder}/table.csv"),
        (6, "source", "image_missing", "alone.txt"),
    ]
    (notice,) = read_rows(tmp_path, "notices")
    assert (notice["stage"], notice["reason"], notice["detail"]) == (
        "source",
        "other_file",
        "docx: 1",
    )
    tar = tmp_path / "warehouse/dataset=d/shards/00000.tar"
    with open_shard(str(tar)) as file:
        names = [m.name for sample in read_samples(file, "x") for m in sample.members.values()]
    assert names == ["000.jpg", "000.json", "001.jpg", "001.json", "b c/x_y.json", "b c/x_y.png"]


def test_jsonl(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 2)
    rows = [
        {"image": "000.jpg", "text": "a", "page_title": "P"},
        {"file": "001.jpg", "text": "b"},
    ]
    captions = tmp_path / "captions.jsonl"
    captions.write_text("\n".join(map(json.dumps, rows)) + "\n{broken\n\n")
    ingest_paths(tmp_path, "folder", folder, options={"captions": str(captions)})
    assert [row["text"] for row in read_rows(tmp_path, "texts")] == ["a", "b"]
    assert read_rows(tmp_path, "texts")[0]["page_title"] == "P"
    assert [row["reason"] for row in read_rows(tmp_path, "rejects")] == ["bad_caption_row"]


def test_one_name_in_two_folders_is_ambiguous(tmp_path: Path) -> None:
    fill(tmp_path / "in/a", 1)
    fill(tmp_path / "in/b", 1)
    (tmp_path / "in/x.csv").write_text("file,caption\n000.jpg,which?\nb/000.jpg,this\n")
    ingest_paths(tmp_path, "folder", tmp_path / "in")
    assert read_captions(tmp_path) == {"a/000": [], "b/000": [("und", "caption", "this")]}
    assert [row["reason"] for row in read_rows(tmp_path, "rejects")] == ["image_ambiguous"]
    (row,) = read_rows(tmp_path, "duplicates")
    assert (row["example_id"], row["duplicate_of"], row["copy_kind"]) == (1, 0, "identical")


def test_a_text_file_called_jpg_is_rejected_by_the_index(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 4)
    (folder / "000.jpg").write_text("no image")
    (folder / "001.jpg").write_bytes(b"")
    ingest_paths(tmp_path, "folder", folder, max_reject_frac=0.5)
    assert [(row["stage"], row["reason"]) for row in read_rows(tmp_path, "rejects")] == [
        ("index", "not_an_image"),
        ("index", "empty_file"),
    ]


def test_equal_keys_in_one_shard(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 1)
    (folder / "000.png").write_bytes(make_image(1, form="PNG"))
    (folder / "000.jpeg").write_bytes(make_image(2))
    ingest_paths(tmp_path, "folder", folder)
    assert list(read_captions(tmp_path)) == ["000", "000~2", "000~3"]


def test_clean_keys() -> None:
    keys = ["a/b.c", "/a", "./a", "../a", "__x__/a", "a/.hidden", "tab\there", ""]
    assert [clean_key(key) for key in keys] == [
        "a/b_c", "a", "a", "a", "_x__/a", "a/_hidden", "tab_here", "_",
    ]  # fmt: skip


def test_shards_are_filled_and_a_stopped_run_goes_on(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 7)
    (folder / "z.docx").write_bytes(b"?")
    ingest_paths(tmp_path, "folder", folder, shard_size=3)
    assert [row["written_count"] for row in read_manifests(tmp_path)] == [3, 3, 1]
    assert [row["source_count"] for row in read_manifests(tmp_path)] == [3, 3, 1]
    before, whole = snapshot(tmp_path), snapshot(tmp_path, with_times=False)
    ingest_paths(tmp_path, "folder", folder, shard_size=3)
    assert snapshot(tmp_path) == before
    dataset = tmp_path / "warehouse/dataset=d"
    (dataset / "manifests/00002.json").unlink()
    ingest_paths(tmp_path, "folder", folder, shard_size=3)
    assert snapshot(tmp_path, with_times=False) == whole
    for ordinal in (1, 2):
        for file in dataset.rglob(f"0000{ordinal}.*"):
            file.unlink()
    ingest_paths(tmp_path, "folder", folder, shard_size=3)
    assert snapshot(tmp_path, with_times=False) == whole


def test_a_folder_grows_at_its_end_only(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 4)
    ingest_paths(tmp_path, "folder", folder, shard_size=2)
    before = snapshot(tmp_path)
    fill(folder, 1, first=10)
    ingest_paths(tmp_path, "folder", folder, shard_size=2)
    after = snapshot(tmp_path)
    kept = [name for name in before if "dataset.json" not in name and "snapshot" not in name]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert [row["written_count"] for row in read_manifests(tmp_path)] == [2, 2, 1]
    (folder / "0000.jpg").write_bytes(make_image(99))
    with pytest.raises(SourceError, match="gives other items for shard 00000") as caught:
        ingest_paths(tmp_path, "folder", folder, shard_size=2)
    assert "only grows at its end" in str(caught.value)
    (folder / "0000.jpg").unlink()
    (folder / "010.jpg").unlink()
    with pytest.raises(SourceError, match="has only 0 of 1 items left for shard 00002"):
        ingest_paths(tmp_path, "folder", folder, shard_size=2)


def test_a_failed_shard_is_written_again_from_the_same_items(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", 6)
    for name in ("002.jpg", "003.jpg"):
        (folder / name).write_text("no image")
    with pytest.raises(ShardError, match=r"1 of 3 shards .* not_an_image 2|1 of 3 shards"):
        ingest_paths(tmp_path, "folder", folder, shard_size=2)
    fill(folder, 2, first=2)
    assert ingest_paths(tmp_path, "folder", folder, shard_size=2).written_count == 6
    assert list(read_captions(tmp_path)) == [f"00{n}" for n in range(6)]


def test_wrong_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    folder = fill(tmp_path / "in", 1)
    (folder / "a.csv").write_text("picture,words\n")
    with pytest.raises(
        SourceError, match=r"no column file or file_name or .*path; they have: picture, words"
    ):
        ingest_paths(tmp_path, "folder", folder)
    (folder / "b.jsonl").write_text("")
    with pytest.raises(SourceError, match=r"several files that may be captions: a\.csv, b\.jsonl"):
        ingest_paths(tmp_path, "folder", folder)
    with pytest.raises(SourceError, match="holds no image"):
        ingest_paths(tmp_path, "folder", tmp_path / "empty")
    with pytest.raises(SourceError, match="nowhere is not a folder"):
        ingest_paths(tmp_path, "folder", tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"captions .*none\.csv could not be read"):
        ingest_paths(tmp_path, "folder", folder, options={"captions": f"{tmp_path}/none.csv"})


def test_named_captions_are_all_there_is(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(make_image(1))
    (folder / "a.txt").write_text("de=ein Hund\nen=a dog")
    (folder / "left-over.txt").write_text("no image beside it")
    captions = tmp_path / "captions.jsonl"
    captions.write_text('{"file": "a.jpg", "caption": "a dog", "language": "en"}\n')
    done = ingest_paths(tmp_path, "folder", folder, options={"captions": str(captions)})
    assert (done.written_count, done.rejected_count) == (1, 0)
    assert [row["text"] for row in read_rows(tmp_path, "texts")] == ["a dog"]
