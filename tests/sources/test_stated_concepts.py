"""What a source states that an image shows: by a table, a sample's JSON or folders; it is no text."""

from __future__ import annotations

import json
from pathlib import Path

from making import ingest_paths, make_image, make_samples, read_rows, write_tar

from pipeline.base.storage import Store
from pipeline.extract.plan import primary_texts
from pipeline.tables.datasets import read_dataset
from pipeline.warehouse.connect import connect


def stated(tmp_path: Path) -> list[tuple[str, str, str]]:
    """Key, concept and category of all that is stated, as the views say."""
    with connect(tmp_path / "warehouse") as connection:
        return connection.execute(
            "select shard_key, concept, category from example_concepts "
            "inner join examples using (dataset, example_id) where origin = 'stated' order by all"
        ).fetchall()


def texts(tmp_path: Path) -> list[str]:
    with connect(tmp_path / "warehouse") as connection:
        rows = connection.execute("select text from texts order by all").fetchall()
    return [text for (text,) in rows]


def fill(folder: Path, *names: str) -> Path:
    for n, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(make_image(n))
    return folder


def test_columns_of_a_table(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "a.jpg", "b.jpg", "c.jpg")
    (folder / "table.csv").write_text(
        "file,caption,concept,category\na.jpg,a dog,kea,parrot\na.jpg,a dog,snow,\na.jpg,a dog,kea,parrot\n"
        "b.jpg,,kea,bird\nc.jpg,nothing,,animal\n"
    )
    summary = ingest_paths(tmp_path, "folder", folder)
    assert (summary.read_count, summary.written_count) == (3, 3)
    assert stated(tmp_path) == [
        ("a", "kea", "parrot"), ("a", "snow", "own"), ("b", "kea", "bird"),
    ]  # fmt: skip
    assert texts(tmp_path) == ["a dog", "nothing"]


def test_a_table_of_concepts_alone_in_lines_of_json(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "a.jpg")
    rows = [
        {"file": "a.jpg", "concept": "Kea \n nest", "category": "bird"},
        {"file": "a.jpg", "concept": 7},
    ]
    (folder / "table.jsonl").write_text("\n".join(map(json.dumps, rows)))
    ingest_paths(tmp_path, "folder", folder)
    assert stated(tmp_path) == [("a", "Kea nest", "bird")]
    notices = [row["detail"] for row in read_rows(tmp_path, "notices")]
    assert any("line 2: concept '7' is no name" in detail for detail in notices), notices


def test_json_of_a_shard(tmp_path: Path) -> None:
    samples = make_samples(3)
    concepts = (["kea", {"concept": "snow", "category": "nature"}, 5, "kea", ""], "kea", {"x": 1})
    for sample, said in zip(samples, concepts, strict=True):
        sample["json"] = json.dumps(json.loads(bytes(sample["json"])) | {"concepts": said}).encode()
    write_tar(tmp_path / "in/00000.tar", samples)
    ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    assert stated(tmp_path) == [
        ("000000", "kea", "own"), ("000000", "snow", "nature"), ("000001", "kea", "own"),
    ]  # fmt: skip
    told = [row["detail"] for row in read_rows(tmp_path, "notices")]
    assert [detail.split(" is no concept")[0] for detail in told] == [
        "5 of concepts in .json", '{"x": 1} of concepts in .json',
    ]  # fmt: skip
    store = Store(tmp_path / "warehouse")
    (shard,) = read_dataset(store, "d").shards
    read = primary_texts(store, "dataset=d", shard)
    assert sorted(read.values()) == ["picture 0", "picture 1", "picture 2"], "no model reads them"


def test_folders_on_request(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "animals/big_birds/kea.jpg", "animals/x.jpg", "top.jpg")
    ingest_paths(tmp_path, "folder", folder, options={"folder_concepts": True})
    assert stated(tmp_path) == [
        ("animals/big_birds/kea", "animals", "folder"),
        ("animals/big_birds/kea", "big birds", "animals"),
        ("animals/x", "animals", "folder"),
    ]
    (tmp_path / "plain").mkdir()
    ingest_paths(tmp_path / "plain", "folder", folder)
    assert stated(tmp_path / "plain") == []
