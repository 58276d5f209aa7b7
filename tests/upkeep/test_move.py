"""Tars that lie elsewhere: written down once they are seen to be the same, whole or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from damaging import flip
from making import ingest_paths

from pipeline.base.errors import SourceError
from pipeline.base.storage import Store
from pipeline.tables.datasets import read_dataset
from pipeline.upkeep import move as module
from pipeline.upkeep.move import move_shards
from pipeline.upkeep.repair import repair
from pipeline.warehouse.connect import connect
from pipeline.warehouse.images import read_image


@pytest.fixture
def moved(tiny_warehouse: Path, tmp_path: Path) -> Path:
    """A dataset over tars that were moved from ``old`` to ``new``."""
    old = tmp_path / "old"
    old.mkdir()
    for shard in read_dataset(Store(tiny_warehouse), "textures").shards:
        shutil.copy(shard.url, old)
    ingest_paths(tmp_path, "webdataset", *sorted(old.glob("*.tar")))
    old.rename(tmp_path / "new")
    return tmp_path


def urls(place: Path) -> set[str]:
    return {shard.url for shard in read_dataset(Store(place / "warehouse"), "d").shards}


def test_images_are_found_again(moved: Path, told, monkeypatch) -> None:
    warehouse = moved / "warehouse"
    monkeypatch.chdir(moved)
    out = told("move-shards", "old/", "new", "--warehouse", warehouse)
    tars = sorted((moved / "new").glob("*.tar"))
    assert f"d: {len(tars)} shards are at new" in out
    assert urls(moved) == set(map(str, tars))
    with connect(warehouse) as connection:
        places = connection.execute(
            "select url, image_offset, image_bytes, image_sha256 from examples"
            " join shards using (dataset, shard_ordinal)"
        ).fetchall()
    assert places and all(read_image(Store(warehouse), *place) for place in places)
    again = told("move-shards", moved / "old", moved / "new", "--warehouse", warehouse, code=2)
    assert "No tar of any dataset" in again
    (warehouse / "dataset=d" / "dataset.json").unlink()
    (warehouse / "dataset=d" / "dataset.json.copy").unlink()
    repair(warehouse)  # from the manifests, which say the new place too
    assert urls(moved) == set(map(str, tars))


@pytest.mark.parametrize("damage", ["gone", "longer", "changed"])
def test_another_file_is_refused_and_nothing_is_written(moved: Path, damage: str) -> None:
    tar = sorted((moved / "new").glob("*.tar"))[-1]
    if damage == "gone":
        tar.unlink()
    elif damage == "longer":
        tar.write_bytes(tar.read_bytes() + b"\0" * 512)
    else:
        flip(tar, at=8 * 700)  # in the first image
    before = urls(moved)
    with pytest.raises(SourceError, match=r"is not at|another file|bytes of image") as told:
        move_shards(Store(moved / "warehouse"), str(moved / "old"), str(moved / "new"))
    assert "Nothing was written" in str(told.value)
    assert urls(moved) == before


def test_an_interrupted_move_is_finished_by_the_same_command(moved: Path, monkeypatch) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    store, old, new = Store(moved / "warehouse"), str(moved / "old"), str(moved / "new")
    with monkeypatch.context() as patched:
        patched.setattr(module, "write_manifest", kill)
        with pytest.raises(Killed):
            move_shards(store, old, new)
    assert move_shards(store, old, new)
    for file in (moved / "warehouse/dataset=d/manifests").glob("*.json"):
        assert json.loads(file.read_text())["url"].startswith(new)
