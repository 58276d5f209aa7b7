from __future__ import annotations

import errno
import uuid
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import ConfigError, MissingDependencyError, StorageError
from pipeline.base.storage import Store, partition, storage_errors
from pipeline.tables.datasets import check_name

TABLE = pa.table({"unit": pa.array([0, 1, 1], pa.uint16()), "name": ["a", "b", "ü"]})


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return Store(tmp_path / "a b")
    return Store(f"memory://{uuid.uuid4().hex}/w")


def test_json_and_parquet_in_any_filesystem(store: Store) -> None:
    value = {"run": "r", "layers": ["visual.layer4:input:max"], "text": "Bäume ☃", "n": None}
    store.write_json("deep/er/run.json", value)
    store.write_json("deep/er/run.json", value | {"n": 1})  # again, in its place
    assert store.read_json("deep/er/run.json") == value | {"n": 1}
    size = store.write_parquet("deep/t.parquet", TABLE, use_dictionary=False).bytes
    assert store.size("deep/t.parquet") == size > 0
    with store.open("deep/t.parquet") as file:
        parquet = pq.ParquetFile(file)
        assert parquet.read() == TABLE
        assert parquet.metadata.row_group(0).column(0).compression == "ZSTD"
    assert store.list("deep") == ["er", "t.parquet"]
    assert store.list("deep", ".parquet") == ["t.parquet"]
    assert store.list("nowhere") == []
    assert store.exists("deep/er/run.json") and not store.exists("deep/run.json")
    store.delete("deep/t.parquet")
    store.delete("deep/t.parquet")  # what is not there is no error
    assert store.list("deep") == ["er"]


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError(errno.ENOSPC, "No space left")])
def test_a_failed_write_leaves_nothing_behind(store: Store, error: Exception) -> None:
    def write(path: str) -> None:
        Path(path).write_bytes(b"half of i")
        raise error

    store.write_json("kept.json", [1])
    expected = StorageError if isinstance(error, OSError) else ValueError
    for name in ("new.json", "kept.json"):
        with pytest.raises(expected):
            store.write_with(name, write)
    assert store.list("") == ["kept.json"]
    assert store.read_json("kept.json") == [1]


def test_readers_see_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_json("f.json", "old")

    def write(path: str) -> None:
        Path(path).write_text('"new"')
        assert store.read_json("f.json") == "old"
        (other,) = [name for name in store.list("") if name != "f.json"]
        assert other.startswith("f.json.tmp-")  # which no view matches

    store.write_with("f.json", write)
    assert store.read_json("f.json") == "new"


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "The disk is full: the place could not be written"),
        (errno.EACCES, "the place is not writable"),
        (errno.EROFS, "the place is not writable"),
        (errno.EIO, "the place cannot be read or written: Input"),
    ],
)
def test_what_the_system_says_becomes_what_to_do(number: int, message: str) -> None:
    with pytest.raises(StorageError, match=message) as caught, storage_errors("the place"):
        raise OSError(number, "said the system")
    assert caught.value.hint
    assert isinstance(caught.value.__cause__, OSError)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "warehouse").write_text("not a folder")
    with pytest.raises(StorageError, match=r"warehouse/a\.json"):
        Store(tmp_path / "warehouse").write_json("a.json", 1)
    assert (tmp_path / "warehouse").read_text() == "not a folder"


def test_damaged_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"half": ')
    with pytest.raises(StorageError, match=r"m\.json is not valid JSON") as caught:
        Store(tmp_path).read_json("m.json")
    assert "neurons repair" in caught.value.hint


def test_places_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises((ConfigError, MissingDependencyError)):
        Store("nosuchscheme://bucket/folder")
    assert Store("memory://x").free_bytes() is None
    assert (Store(tmp_path / "not/yet/there").free_bytes() or 0) > 0


def test_paths_and_uris(tmp_path: Path) -> None:
    local, memory = Store(tmp_path / "w"), Store("memory://bucket/w/")
    assert local.uri("a/b") == local.path("a/b") == str(tmp_path / "w/a/b")
    assert memory.uri("a/b") == "memory:///bucket/w/a/b" or memory.uri("a/b").endswith(
        "bucket/w/a/b"
    )
    assert local.is_local and not memory.is_local


def test_partitions_are_percent_encoded() -> None:
    layer = "visual.layer4.2.act3:input:max"
    assert partition(dataset="d", layer=layer) == (
        "dataset=d/layer=visual.layer4.2.act3%3Ainput%3Amax"
    )


@given(st.text(min_size=1, max_size=30))
def test_any_value_makes_one_folder_and_comes_back(value: str) -> None:
    try:
        folder = partition(layer=value)
    except UnicodeEncodeError:
        return  # half a character
    assert folder.isascii() and "/" not in folder and folder.count("=") == 1
    assert unquote(folder.removeprefix("layer=")) == value


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a b", "ü", "x" * 101, "a\n", "a%2F"])
def test_names_that_cannot_be_folders(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name a run"):
        check_name(name, "run")
