"""The same ingest in odd places: an object store, and folders whose names are hard to quote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from making import ingest_paths, make_image, make_samples, read_rows, snapshot, write_tar

from pipeline.base.errors import NeuronsError, ShardError
from pipeline.base.settings import IngestConfig, IngestStep
from pipeline.base.storage import Store
from pipeline.sources.ingest import ingest
from pipeline.tables.datasets import read_dataset, shard_url
from pipeline.tables.tars import open_shard, read_samples


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """fsspec's file system in memory, which behaves like an object store."""
    fs = fsspec.filesystem("memory")
    yield fs
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


def test_shards_and_warehouse_in_an_object_store(
    tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    for n in range(2):
        tar = write_tar(tmp_path / f"{n}.tar", make_samples(4, 2 * n))
        memory.pipe(f"/in/{n}.tar", tar.read_bytes())
    config = IngestConfig("memory://wh", "d")
    for path in ("memory://in", "memory://in/*.tar", "memory://in/{0..1}.tar"):
        summary = ingest(config, IngestStep("webdataset", (path,)))
        assert (summary.shard_count, summary.written_count) == (2, 8)
        assert summary.duplicate_count == 2
    with pytest.raises(ShardError, match=r"memory:///in/2\.tar"):
        ingest(config, IngestStep("webdataset", ("memory://in/{0..2}.tar",)))


def test_written_shards_in_an_object_store(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe("/photos/a.jpg", make_image(1))
    memory.pipe("/photos/a.txt", b"a photo")
    summary = ingest(IngestConfig("memory://wh", "d"), IngestStep("folder", ("memory://photos",)))
    assert (summary.written_count, summary.text_count) == (1, 1)
    store = Store("memory://wh")
    (shard,) = read_dataset(store, "d").shards
    assert shard.url == "dataset=d/shards/00000.tar"
    with open_shard(shard_url(store, shard)) as file:
        (sample,) = read_samples(file, shard.name)
    assert sample.members["jpg"].data == make_image(1)


def test_names_that_are_hard_to_quote(tmp_path: Path) -> None:
    place = tmp_path / "it's [1] {a,b} 100% é"
    write_tar(place / "in/0 [x].tar", make_samples(2))
    write_tar(place / "in/1.tar", make_samples(2))
    summary = ingest_paths(place, "webdataset", place / "in")
    assert (summary.written_count, summary.duplicate_count) == (4, 2)
    before = snapshot(place)
    ingest_paths(place, "webdataset", place / "in/0 [x].tar", place / "in/1.tar")
    assert snapshot(place) == before
    assert [row["shard_key"] for row in read_rows(place, "examples")] == ["000000", "000001"] * 2


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", make_samples(1))
    (tmp_path / "warehouse").write_text("a file where the folder should be")
    with pytest.raises(NeuronsError, match="could not be written"):
        ingest_paths(tmp_path, "webdataset", tmp_path / "0.tar")
