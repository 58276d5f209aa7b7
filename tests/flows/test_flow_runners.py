"""Flows whose tasks are done by two workers of a Dask or a Ray cluster, on object storage."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import s3fs
from bucket import serve_bucket
from flow_making import make_config
from hooking import after_import
from textures import make_warehouse as make_textures
from waiting import patience

from pipeline.base.errors import ConfigError, MissingDependencyError, StorageError
from pipeline.base.job_file import load_config
from pipeline.base.job_settings import RunnerConfig
from pipeline.base.settings import IngestConfig, IngestStep
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest
from pipeline.tables.computed import DERIVED
from pipeline.upkeep.build import build
from pipeline.warehouse.connect import connect
from pipeline.warehouse.views import MATERIALISED, load_views

pytestmark = pytest.mark.flows

KILLED, HUNG = 1, 4
"""Shards at whose end a worker is killed, and stops; the first time that each is done."""

MOMENT_OR_PLACE = "_at$|_s$|^(warehouse|path|file|filename|bytes|config)$"
"""Columns that differ between two warehouses with the same in them."""

ACCIDENTS = """
    import os, signal
    from pathlib import Path

    def commit_or_not(self, plan, writer, files, commit=ShardWork._commit):
        for number, what in ACCIDENTS.items():
            if plan.shard.ordinal == number:
                try:
                    Path(FOLDER, what.name).touch(exist_ok=False)
                except FileExistsError:
                    continue
                os.kill(os.getpid(), what)
        commit(self, plan, writer, files)

    ShardWork._commit = commit_or_not
"""


@pytest.fixture(scope="module")
def bucket(tars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bucket with the tars in it."""
    with serve_bucket(tmp_path_factory.mktemp("weed")) as url:
        fs = s3fs.S3FileSystem(skip_instance_cache=True)
        fs.put(f"{tars}/", "bucket/tars/", recursive=True)
        yield url


@pytest.fixture(scope="module")
def alone(bucket: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process makes in the bucket."""
    warehouse = make_remote(bucket, "alone")
    extract(make_config(warehouse))
    return read_all(warehouse, tmp_path_factory.mktemp("alone"))


def make_remote(bucket: str, name: str) -> str:
    warehouse = f"{bucket}/{name}"
    ingest(IngestConfig(warehouse, "d"), IngestStep("webdataset", (f"{bucket}/tars",)))
    return warehouse


def read_all(warehouse: str, folder: Path) -> dict[str, Any]:
    """Rows of all that views are made of, as their number and a sum of hashes: where these are the same, so
    is every view. And of two views, to see that they are read."""
    s3fs.S3FileSystem(skip_instance_cache=True).get(warehouse, str(folder / "copy"), recursive=True)
    rows = {}
    with connect(folder / "copy", use_marts=False) as connection:
        names = {name for view in load_views() for name in view.reads} - {"lexicon"}
        made = {view.name for view in load_views()}
        for name in sorted(names - made | {"activations", "top_examples"}):
            columns = [row[0] for row in connection.execute(f"describe {name}").fetchall()]
            some = [f'"{column}"' for column in columns if not re.search(MOMENT_OR_PLACE, column)]
            query = f"select count(*), sum(hash({', '.join(some)})) from {name}"
            rows[name] = connection.execute(query).fetchall()
    found = {name for name, ((count, _),) in rows.items() if count}
    assert {"raw_activations", "raw_run_shards", "raw_embeddings", "top_examples"} <= found
    return rows


def count_servers() -> int:
    """Prefect servers of the tests that run now."""
    count = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("PREFECT_HOME") == os.environ["PREFECT_HOME"]:
                count += "prefect.server.api.server:create_app" in process.cmdline()
    return count


@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_two_workers_one_killed_and_one_hung_give_what_one_process_gives(
    server: str,
    bucket: str,
    alone: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: Any,
) -> None:
    from flows.extract import extract_flow

    accidents = f"{{{KILLED}: signal.SIGKILL, {HUNG}: signal.SIGSTOP}}"
    code = ACCIDENTS.replace("ACCIDENTS", accidents).replace("FOLDER", repr(str(tmp_path)))
    after_import(monkeypatch, tmp_path, "pipeline.extract.commit", code)
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray keeps one in our home
    monkeypatch.delenv(
        "PREFECT_API_URL"
    )  # a cluster that a flow starts is told of the server by it
    warehouse = make_remote(bucket, kind)
    config = make_config(warehouse, lease_s=patience(3))
    runner = RunnerConfig(kind, workers=2)
    servers = count_servers()
    assert extract_flow(config, shards_per_task=1, runner=runner) == "r"
    assert {file.name for file in tmp_path.iterdir()} >= {"SIGKILL", "SIGSTOP"}
    assert count_servers() == servers, "one that a killed worker started would be left"
    found = read_all(warehouse, tmp_path)
    assert [name for name in alone if found[name] != alone[name]] == []


def test_a_job_file_names_the_runner(tmp_path: Path) -> None:
    job = tmp_path / "job.toml"
    head = 'warehouse = "w"\ndataset = "d"\n'
    job.write_text(head)
    assert load_config(job).runner == RunnerConfig()
    job.write_text(head + '[runner]\nkind = "dask"\naddress = "tcp://h:8786"\nworkers = 4\n')
    assert load_config(job).runner == RunnerConfig("dask", "tcp://h:8786", 4)
    job.write_text(head + '[runner]\nkind = "spark"\n')
    with pytest.raises(ConfigError, match=r"\[runner\]: kind is 'spark'"):
        load_config(job)


@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_a_cluster_that_is_not_there(kind: Any) -> None:
    from flows.runners import make_task_runner

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    runner = RunnerConfig(kind, f"tcp://127.0.0.1:{port}")
    with pytest.raises(StorageError, match=rf"no {kind.capitalize()} cluster at tcp://127"):
        make_task_runner(runner)
    for wrong in ("nowhere", "tcp://", "h:port"):
        with pytest.raises(ConfigError, match=r"\[runner\] address is"):
            make_task_runner(replace(runner, address=wrong))


def test_an_extra_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.runners import make_task_runner

    monkeypatch.setitem(__import__("sys").modules, "prefect_dask", None)
    with pytest.raises(MissingDependencyError, match="prefect-dask") as caught:
        make_task_runner(RunnerConfig("dask"))
    assert "multimodal-neurons[dask]" in caught.value.hint


def test_workers_compact_runs_and_build_parts(server: str, tmp_path: Path) -> None:
    """Those of a cluster that is there already, by its address."""
    from distributed import LocalCluster
    from prefect.client.orchestration import get_client

    from flows.build import build_flow

    alone = make_textures(tmp_path, ("visual.layer1.0",))
    place = Path(shutil.copytree(alone, tmp_path / "other"))
    build(alone)
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        runner = RunnerConfig("dask", cluster.scheduler_address)
        build_flow(str(place), runner=runner, compact_first=True)
    with connect(alone) as one, connect(place) as other:
        (run_id,) = other.execute("select run_id from runs where is_compacted").fetchone() or ()
        for mart in (f"raw_{name}" if name in DERIVED else name for name in MATERIALISED):
            query = f"select count(*), sum(hash({mart})) from {mart}"
            assert other.execute(query).fetchall() == one.execute(query).fetchall(), mart
    with get_client(sync_client=True) as client:
        done = {run.name for run in client.read_task_runs() if run.state_name == "Completed"}
    pieces = (f"compact {run_id}", "build textures", f"build textures/{run_id}")
    names = {name.rsplit("-", 1)[0] for name in done} | done
    assert {*pieces, f"build textures/{run_id} before concept_ranks", "build marts"} <= names
    for block in ("build concept_ranks ", "build facet_aurocs ", "compact visual."):
        assert any(name.startswith(block) for name in names), block
