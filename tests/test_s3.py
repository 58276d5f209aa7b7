"""The whole job on a real S3 server on this machine: shards and warehouse in a bucket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from bucket import serve_bucket
from many_records import FOLDERS, make_manifest, make_records
from textures import write_textures

from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep
from pipeline.base.storage import Store
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest
from pipeline.tables.folder_records import Records
from pipeline.tables.manifest_files import write_manifest
from pipeline.tables.snapshots import list_folders, write_snapshot
from pipeline.upkeep.build import build
from pipeline.upkeep.check import check, run_violations
from pipeline.upkeep.compact import compact
from pipeline.warehouse.connect import connect
from pipeline.warehouse.inventory import take_inventory

LAYERS = ("visual.layer3.0",)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty bucket."""
    with serve_bucket(tmp_path_factory.mktemp("weed")) as url:
        yield url


def _run_job(warehouse: str, tars: str) -> list[tuple[object, ...]]:
    ingest(IngestConfig(warehouse, "t"), IngestStep("webdataset", (tars,)))
    config = ExtractConfig(warehouse, "t", "RN-demo:random", LAYERS, device="cpu", top_k=10)
    extract(config)
    assert extract(config).skipped_shard_count == 2
    build(warehouse)
    compact(warehouse)
    assert run_violations(check(warehouse)) == 0
    with connect(warehouse) as connection:
        query = "select unit, example_id, activation, rank2 from activations order by all"
        activations = connection.execute(query).fetchall()
        labels = connection.execute("select unit, concept, q_value from neuron_labels order by 1")
        return [*activations, *labels.fetchall()]


@pytest.mark.slow
def test_a_bucket_gives_what_a_folder_gives(bucket, tmp_path):
    import s3fs

    tars = write_textures(tmp_path / "tars", 2, 20)
    s3fs.S3FileSystem(skip_instance_cache=True).put(f"{tars}/", "bucket/tars/", recursive=True)
    local = _run_job(str(tmp_path / "warehouse"), str(tars))
    remote = _run_job(f"{bucket}/warehouse", f"{bucket}/tars")
    assert remote == local
    assert len(local) > 1000
    _ask_little(f"{bucket}/warehouse")


def _ask_little(warehouse: str) -> None:
    """Opening asks the bucket eight times at most, and once more for each shard that is newer."""
    with _counted() as asked, connect(warehouse) as connection:
        opening = len(asked)
        assert connection.execute("select shard_count from runs").fetchall() == [(2,)]
        assert len(asked) == opening, "what a run is, its records have said"
        (seen,) = connection.execute("select count(*) from activations").fetchall()
    assert opening <= 8, asked
    assert not [name for name in asked if name == "HeadObject"], "every size is known"
    store = Store(warehouse)
    (folder,) = (folder for folder in list_folders(store) if "run_id=" in folder)
    for ordinal, manifest in Records(store, folder).manifests().items():
        write_manifest(store, folder, {**manifest, "batch_size": 1000 + ordinal})
    with _counted() as asked, connect(warehouse) as connection:
        assert len(asked) == opening + 2
        assert connection.execute("select count(*) from activations").fetchall() == [seen]
    assert write_snapshot(store, folder)
    with _counted() as asked, connect(warehouse):
        assert len(asked) == opening


@pytest.mark.slow
def test_opening_asks_no_more_of_two_thousand_shards(bucket, tmp_path, tiny_warehouse):
    """Nor of a copy of a folder that a bucket was given."""
    import s3fs

    (file,) = tiny_warehouse.glob("dataset=*/run_id=*/run.json")
    store = make_records(tmp_path / "w", json.loads(file.read_bytes()), 2000)
    for folder in FOLDERS:
        write_snapshot(store, folder)
    many = f"{bucket}/many"
    files = [file for file in (tmp_path / "w").rglob("*") if file.is_file()]
    # those of the index are as many, and not one is asked for
    files = [file for file in files if file.parent != tmp_path / "w" / FOLDERS[0] / "manifests"]
    s3fs.S3FileSystem(skip_instance_cache=True).put(
        [str(file) for file in files],
        [f"{many}/{file.relative_to(tmp_path / 'w').as_posix()}" for file in files],
    )
    with _counted() as asked:
        inventory = take_inventory(Store(many))
    assert len(inventory.run_shards) == len(inventory.shards) == 2000
    assert sorted(asked) == ["GetObject"] * 2 + ["ListObjectsV2"] * 3, asked
    for n in range(2000, 2003):
        write_manifest(
            Store(many), FOLDERS[1], make_manifest(FOLDERS[1], n - 2000, ("embeddings",))
        )
    with _counted() as asked:
        assert len(take_inventory(Store(many)).run_shards) == 2000
    assert len(asked) == 5 + 3, "those that are newer than the snapshot"


@contextmanager
def _counted() -> Iterator[list[str]]:
    """Names of the requests that are sent meanwhile."""
    from aiobotocore.endpoint import AioEndpoint

    names: list[str] = []
    send = AioEndpoint._send_request

    async def count(self: object, request: object, operation: object) -> object:
        names.append(operation.name)
        return await send(self, request, operation)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AioEndpoint, "_send_request", count)
        yield names
