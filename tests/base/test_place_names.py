"""Local path or URL: one rule, for names in any letters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from making import ingest_paths, make_image, make_samples, write_tar

from pipeline.base.errors import ConfigError, MissingDependencyError, ShardError
from pipeline.base.places import is_chain, is_url, local_path, open_place
from pipeline.base.settings import IngestConfig, IngestStep
from pipeline.base.storage import Store
from pipeline.sources.ingest import ingest
from pipeline.sources.layouts.shard_lists import expand_shards
from pipeline.tables.datasets import read_dataset, shard_url
from pipeline.tables.tars import open_shard, read_samples
from pipeline.warehouse.connect import connect
from pipeline.warehouse.images import read_image

ODD = [
    "a::b",
    "c:d",
    "~x",
    "100%",
    "a%20b",
    "*",
    "[1]",
    "{1..3}",
    "{a,b}",
    "a?b",
    "a#b",
    "s3:",
    "é日",
    " ",
    "a'b",
    '"',
]
"""Names of folders and files that mean something to one program or another."""


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    fs = fsspec.filesystem("memory")
    yield fs
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


@pytest.mark.parametrize("name", ODD)
def test_any_name_is_a_path(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tar = write_tar(tmp_path / name / f"{name}.tar", make_samples(1))
    monkeypatch.chdir(tmp_path)
    for path in (
        str(tar),
        str(tar.parent),
        f"{name}/{name}.tar",
        name,
        f"file://{tar}",
        f"{name}/*.tar",
    ):
        assert expand_shards([path]) == [str(tar)], path
    assert expand_shards([f"{tmp_path}/{name}/{{{name},x}}.tar"[:0] or str(tar)]) == [str(tar)]
    with open_shard(str(tar)) as file:
        assert len(list(read_samples(file, "x"))) == 1


def test_a_warehouse_and_its_sources_below_odd_folders(tmp_path: Path) -> None:
    place = tmp_path / "a::b" / "c:d" / "~" / "x*[y]{z,w}%20"
    write_tar(place / "in/0.tar", make_samples(2))
    summary = ingest_paths(place, "webdataset", place / "in/{0..0}.tar")
    assert summary.written_count == 2
    store = Store(place / "warehouse")
    with connect(store.url) as connection:
        row = connection.execute(
            "select url, image_offset, image_bytes, image_sha256 from examples "
            "join shards using (dataset, shard_ordinal) order by example_id"
        ).fetchone()
    assert row is not None
    assert read_image(store, *row) == make_image(0)


def test_file_urls_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "c%20d").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert local_path(f"file://{tmp_path}/a%20b") == str(tmp_path / "a b")
    assert local_path(f"file://{tmp_path}/c%20d") == str(tmp_path / "c%20d")
    assert local_path("~/a b") == str(tmp_path / "a b")
    Path("~").mkdir()
    assert local_path("~") == str(tmp_path / "~")
    assert not is_url("file:///x::y/z.tar")


def test_chains_and_other_urls(tmp_path: Path, memory: fsspec.AbstractFileSystem) -> None:
    tar = write_tar(tmp_path / "0.tar", make_samples(2))
    memory.pipe("/in/0.tar", tar.read_bytes())
    url = "simplecache::memory:///in/0.tar"
    for path in ("simplecache::memory://in", url, "simplecache::memory://in/{0..0}.tar"):
        assert expand_shards([path])[0].replace("///", "//") == url.replace("///", "//")
    assert not is_chain("s3://bucket/a::b/0.tar")
    assert is_chain("simplecache::s3://bucket/0.tar")
    config = IngestConfig(str(tmp_path / "warehouse"), "d")
    done = ingest(config, IngestStep("webdataset", ("simplecache::memory://in",)))
    assert done.written_count == 2
    store = Store(config.warehouse)
    for shard in read_dataset(store, "d").shards:
        with open_shard(shard_url(store, shard)) as file:
            assert len(list(read_samples(file, shard.name))) == 2


def test_urls_that_nobody_knows() -> None:
    with pytest.raises(ConfigError, match="nope://x"):
        open_place("nope://x")
    with pytest.raises(MissingDependencyError, match="multimodal-neurons"):
        open_place("dropbox://x")


@pytest.mark.parametrize(
    "url",
    ["http://[::1/x.tar", "http://127.0.0.1:99999/x.tar", "http://a\u00adb/x.tar", "github://x"],
)
def test_urls_that_are_none_are_said_to_be_none(url: str) -> None:
    with pytest.raises(ConfigError, match="is not a place we can read or write"):
        open_place(url)


@pytest.mark.parametrize("url", ["hf://x", "zip://x.tar::http://[::1/x.zip"])
def test_urls_that_only_their_filesystem_refuses(url: str) -> None:
    with pytest.raises(ShardError, match="could not be listed"):
        expand_shards([url])


def test_a_tar_in_capitals_is_one_of_its_folder(tmp_path: Path) -> None:
    tars = [str(write_tar(tmp_path / name, make_samples(1))) for name in ("A.TAR", "b.tar")]
    assert expand_shards([str(tmp_path)]) == expand_shards([f"{tmp_path}/*"]) == tars


def test_nested_folders_of_tars(tmp_path: Path) -> None:
    tars = [str(write_tar(tmp_path / f"e/part-{n}/00000.tar", make_samples(1))) for n in range(2)]
    (tmp_path / "e/part-0/._00000.tar").write_bytes(b"x")
    for path in ("e", "e/*", "e/*/*.tar", "e/part-{0..1}", "e/part-{0..1}/*.tar"):
        assert expand_shards([f"{tmp_path}/{path}"]) == tars
    top = str(write_tar(tmp_path / "e/00000.tar", make_samples(1)))
    for path in ("e", "e/*", "e/**"):
        assert expand_shards([f"{tmp_path}/{path}"]) == [top, *tars]
    os.mkfifo(tmp_path / "e/part-0/pipe.tar")
    for path in ("e/part-0/pipe.tar", "e/part-0", "e"):
        with pytest.raises(ShardError, match=r"pipe\.tar is no file"):
            expand_shards([f"{tmp_path}/{path}"])
    (tmp_path / "e/part-0/pipe.tar").unlink()
    (tmp_path / "e/part-0/gone.tar").symlink_to("nothing")
    with pytest.raises(ShardError, match=r"gone\.tar cannot be read: a link that leads nowhere"):
        expand_shards([f"{tmp_path}/e"])


def test_a_folder_does_not_mean_the_warehouse_in_it(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", make_samples(2))
    (tmp_path / "a.jpg").write_bytes(make_image(7))
    config = IngestConfig(str(tmp_path / "warehouse"), "mine")
    ingest(config, IngestStep("folder", (str(tmp_path),)))
    (tmp_path / "warehouse/card.png").write_bytes(make_image(8))
    ours = tmp_path / "warehouse/dataset=mine/shards/00000.tar"
    assert ours.exists()
    assert ingest_paths(tmp_path, "webdataset", tmp_path).shard_count == 1
    assert ingest(config, IngestStep("folder", (str(tmp_path),))).written_count == 1
    assert expand_shards([str(ours.parent)], but=config.warehouse) == [str(ours)]
    (tmp_path / "elsewhere").symlink_to(tmp_path / "warehouse")
    assert expand_shards([str(tmp_path)], but=str(tmp_path / "elsewhere")) == [
        str(tmp_path / "0.tar")
    ]


def test_files_beside_tars_that_are_not_read_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tar = write_tar(tmp_path / "0.tar", make_samples(1))
    for name in ("0.tar.gz", "sub/1.tar.gz", "sub/2.tgz", "loose.jpg", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert expand_shards([str(tmp_path)]) == [str(tar)]
    assert "holds 2 files that are not read: sub/1.tar.gz, sub/2.tgz. Unpack them" in caplog.text
    assert "holds 1 files that are not read: loose.jpg. neurons ingest folder" in caplog.text
