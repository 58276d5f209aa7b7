"""Ingest again: what is done stays, what is new is appended, what changed is an error."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from making import (
    ingest_paths,
    make_image,
    make_samples,
    read_manifests,
    read_rows,
    snapshot,
    write_tar,
)

from pipeline.base.errors import NeuronsError, ShardError, SourceError
from pipeline.tables.snapshot_files import is_snapshot
from pipeline.warehouse.connect import connect


def test_again_does_nothing_and_new_shards_are_appended(tmp_path: Path) -> None:
    write_tar(tmp_path / "in/00001.tar", make_samples(3))
    ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    before = snapshot(tmp_path)
    ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    assert snapshot(tmp_path) == before
    write_tar(tmp_path / "in/00000.tar", make_samples(4, first=2))
    summary = ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    assert summary.duplicate_count == 1
    after = snapshot(tmp_path)
    changed = {name for name in before if after.get(name) != before[name]}
    changed = {name for name in changed if not is_snapshot(name.rpartition("/")[2])}
    records = ("dataset.json", "dataset.json.copy")
    assert changed == {f"warehouse/dataset=d/{name}" for name in records}
    registered = json.loads((tmp_path / "warehouse/dataset=d/dataset.json").read_text())
    assert [(s["ordinal"], s["name"]) for s in registered["shards"]] == [(0, "00001"), (1, "00000")]
    (row,) = read_rows(tmp_path, "duplicates")
    assert (row["example_id"], row["duplicate_of"], row["copy_kind"]) == (1 << 20, 2, "identical")
    files = tmp_path / "warehouse/dataset=d/duplicates"
    assert sorted(file.name for file in files.iterdir()) == ["00000.parquet", "00001.parquet"]


def test_a_done_shard_that_changed_is_an_error(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "00000.tar", make_samples(3))
    ingest_paths(tmp_path, "webdataset", tar)
    write_tar(tar, make_samples(300))
    with pytest.raises(ShardError, match=r"00000\.tar has [\d,]+ bytes, but had") as caught:
        ingest_paths(tmp_path, "webdataset", tar)
    assert "another --dataset name" in str(caught.value)


def test_equal_names_in_two_folders(tmp_path: Path) -> None:
    tars = [write_tar(tmp_path / f"{f}/00000.tar", make_samples(1, n)) for n, f in enumerate("ab")]
    ingest_paths(tmp_path, "webdataset", *tars)
    assert [row["shard"] for row in read_manifests(tmp_path)] == ["00000", "b-00000"]


def test_interrupted_between_parquet_and_manifest(tmp_path: Path) -> None:
    for n in range(3):
        write_tar(tmp_path / f"in/{n}.tar", make_samples(2, n))
    ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    before = snapshot(tmp_path, with_times=False)
    for name in ("manifests/00002.json", "examples/00002.parquet", "duplicates/00001.parquet"):
        (tmp_path / "warehouse/dataset=d" / name).unlink()
    ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    assert snapshot(tmp_path, with_times=False) == before


def test_two_ingests_at_once(tmp_path: Path) -> None:
    from filelock import FileLock

    tar = write_tar(tmp_path / "00000.tar", make_samples(1))
    folder = tmp_path / "warehouse/dataset=d"
    folder.mkdir(parents=True)
    with (
        FileLock(folder / "ingest.lock"),
        pytest.raises(NeuronsError, match="Another ingest is writing dataset 'd'"),
    ):
        ingest_paths(tmp_path, "webdataset", tar)
    ingest_paths(tmp_path, "webdataset", tar)


@pytest.mark.slow
def test_any_source_may_add_to_a_dataset(tmp_path: Path) -> None:
    tars = [write_tar(tmp_path / f"{n}.tar", make_samples(2, 10 * n)) for n in range(3)]
    for n, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        for k in range(3):
            (tmp_path / folder / f"{k}.jpg").write_bytes(make_image(50 + 10 * n + k))
    rows = [{"image": make_image(90), "image_url": "http://x/90.jpg"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "base.parquet")
    steps = [
        ("webdataset", tars[0]), ("folder", tmp_path / "a"), ("webdataset", tars[1]),
        ("wit-base", tmp_path / "base.parquet"), ("webdataset", tars[2]),
    ]  # fmt: skip
    for source, path in steps * 2:
        ingest_paths(tmp_path, source, path, shard_size=2)
    (tmp_path / "a/3.jpg").write_bytes(make_image(80))
    summary = ingest_paths(tmp_path, "folder", tmp_path / "a", shard_size=2)
    assert [(row["source"], row["written_count"]) for row in read_manifests(tmp_path)] == [
        ("webdataset", 2), ("folder", 2), ("folder", 1), ("webdataset", 2), ("wit-base", 1),
        ("webdataset", 2), ("folder", 1),
    ]  # fmt: skip
    assert summary.written_count == 11
    with connect(tmp_path / "warehouse") as connection:
        shown = connection.execute("select source, count(*) from shards group by 1 order by 1")
        assert shown.fetchall() == [("folder", 3), ("webdataset", 3), ("wit-base", 1)]
    with pytest.raises(SourceError, match=r"name what it was made from first, then what is new"):
        ingest_paths(tmp_path, "folder", tmp_path / "b", shard_size=2)
    both = ingest_paths(tmp_path, "folder", tmp_path / "a", tmp_path / "b", shard_size=2)
    assert both.written_count == 14
