"""The list of shards comes back from the manifests, never in another order; ingest sees what is gone."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from making import ingest_paths, make_samples, read_manifests, read_rows, write_tar

from pipeline.base.errors import WarehouseError
from pipeline.base.storage import COPY, Store
from pipeline.tables.audit import audit_warehouse
from pipeline.upkeep.repair import repair
from pipeline.warehouse.connect import connect


@pytest.fixture
def two_steps(tmp_path: Path) -> Path:
    """Tars 2 and 3 were ingested first, then 0 and 1: another order than that of their names."""
    for n in range(4):
        write_tar(tmp_path / f"in/{n:05d}.tar", make_samples(2 + n, first=10 * n))
    tars = [tmp_path / f"in/{n:05d}.tar" for n in range(4)]
    ingest_paths(tmp_path, "webdataset", *tars[2:])
    ingest_paths(tmp_path, "webdataset", *tars[:2])
    return tmp_path


def listed(tmp_path: Path) -> list[dict[str, Any]]:
    record = json.loads((tmp_path / "warehouse/dataset=d/dataset.json").read_text())
    shards: list[dict[str, Any]] = record["shards"]
    return shards


def lose(tmp_path: Path, how: str, with_copy: bool) -> None:
    path = tmp_path / "warehouse/dataset=d/dataset.json"
    path.unlink() if how == "gone" else path.write_bytes(path.read_bytes()[:60])
    if with_copy:
        path.with_name(path.name + COPY).unlink()


def forget_urls(tmp_path: Path) -> None:
    """Manifests as an earlier version wrote them."""
    for path in (tmp_path / "warehouse/dataset=d/manifests").glob("*.json"):
        manifest = json.loads(path.read_text())
        for name in ("url", "source", "checksum", "format", "max_reject_frac", "tar_checksum"):
            manifest.pop(name, None)
        path.write_text(json.dumps(manifest))


@pytest.mark.parametrize("with_copy", [False, True])
@pytest.mark.parametrize("how", ["gone", "cut"])
def test_ingest_restores_the_list_and_keeps_its_order(
    two_steps: Path, how: str, with_copy: bool, caplog: pytest.LogCaptureFixture
) -> None:
    before, examples = listed(two_steps), read_rows(two_steps, "examples")
    lose(two_steps, how, with_copy)
    with caplog.at_level(logging.WARNING):
        ingest_paths(two_steps, "webdataset", two_steps / "in")
    assert listed(two_steps) == before
    assert [shard["name"] for shard in before] == ["00002", "00003", "00000", "00001"]
    assert read_rows(two_steps, "examples") == examples
    assert "made again from" in caplog.text


def test_older_manifests_find_their_tars_by_name_and_size(two_steps: Path) -> None:
    before = listed(two_steps)
    forget_urls(two_steps)
    lose(two_steps, "gone", with_copy=True)
    ingest_paths(two_steps, "webdataset", two_steps / "in")
    assert listed(two_steps) == before


def test_repair_restores_it_without_the_tars(two_steps: Path) -> None:
    before = listed(two_steps)
    lose(two_steps, "cut", with_copy=True)
    for tar in (two_steps / "in").glob("*.tar"):
        tar.unlink()
    assert repair(two_steps / "warehouse").left == []
    assert listed(two_steps) == before


def test_a_list_made_anew_in_another_order_is_put_right(two_steps: Path) -> None:
    """What the advice of an earlier version has led to: manifests are believed, the list is not."""
    before, store = listed(two_steps), Store(two_steps / "warehouse")
    by_name = sorted(before, key=lambda shard: str(shard["name"]))
    wrong = [shard | {"ordinal": n} for n, shard in enumerate(by_name)]
    record = store.read_json("dataset=d/dataset.json") | {"shards": wrong}
    store.write_record("dataset=d/dataset.json", record, with_copy=True)
    with pytest.raises(WarehouseError, match="not the list that these shards were indexed by"):
        connect(two_steps / "warehouse")
    assert len(audit_warehouse(store).damages) >= 2
    assert repair(two_steps / "warehouse").left == []
    assert listed(two_steps) == before
    with connect(two_steps / "warehouse") as connection:
        rows = connection.execute(
            "select shard, count(*) from examples group by shard order by shard"
        ).fetchall()
    assert rows == [("00000", 2), ("00001", 3), ("00002", 4), ("00003", 5)]


def test_what_nobody_knows_is_not_made_up(two_steps: Path) -> None:
    lose(two_steps, "gone", with_copy=True)
    (two_steps / "warehouse/dataset=d/manifests/00001.json").unlink()
    with pytest.raises(WarehouseError, match="Nothing says what shard 1"):
        ingest_paths(two_steps, "webdataset", two_steps / "in")


def test_readers_name_the_cure(two_steps: Path) -> None:
    lose(two_steps, "gone", with_copy=True)
    with pytest.raises(WarehouseError, match="neurons repair --dataset d"):
        connect(two_steps / "warehouse")


@pytest.mark.parametrize("table", ["examples", "texts", "duplicates"])
def test_ingest_sees_that_a_table_is_gone(two_steps: Path, table: str) -> None:
    rows = read_rows(two_steps, table)
    for file in (two_steps / f"warehouse/dataset=d/{table}").glob("*.parquet"):
        file.unlink()
    ingest_paths(two_steps, "webdataset", two_steps / "in")
    assert read_rows(two_steps, table) == rows
    assert {manifest["status"] for manifest in read_manifests(two_steps)} == {"done"}
    assert audit_warehouse(Store(two_steps / "warehouse"), deep=True).damages == []
