"""Real tars, warehouses, processes and questions to the server, for the tests of the flows."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from waiting import patience

from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep
from pipeline.sources.ingest import ingest

ROOT = Path(__file__).parents[2]


def noise(seed: int) -> bytes:
    """A JPEG of coloured patches."""
    patches = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(patches).resize((48, 36)).save(file, "JPEG")
    return file.getvalue()


def make_warehouse(folder: Path, tars: Sequence[Path]) -> str:
    """A warehouse with the tars ingested as dataset ``d``."""
    warehouse = str(folder / "warehouse")
    ingest(IngestConfig(warehouse, "d"), IngestStep("webdataset", tuple(map(str, tars))))
    return warehouse


def make_config(warehouse: str, **more: Any) -> ExtractConfig:
    """A run of the small model, in the folder ``run_id=r``."""
    values: dict[str, Any] = {"run": "r", "device": "cpu", "batch_size": 8, "workers": 1, **more}
    return ExtractConfig(warehouse, "d", "RN-demo:random", ("goh2021",), **values)


def read_activations(warehouse: str) -> dict[str, Any]:
    """Every table of activations and statistics of the run ``r``, by its path."""
    import pyarrow.parquet as pq

    run = Path(warehouse) / "dataset=d/run_id=r"
    files = sorted((*run.glob("activations/**/*.parquet"), *run.glob("shard_*/**/*.parquet")))
    return {str(file.relative_to(run)): pq.ParquetFile(file).read() for file in files}


def artifacts(flow_run_id: Any) -> dict[str, Any]:
    """Artifacts of a flow run that have a key, by it."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=chosen)
    return {artifact.key: artifact for artifact in found if artifact.key}


def task_runs(flow_run_id: Any) -> dict[str, Any]:
    """Task runs of a flow run, by name."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    with get_client(sync_client=True) as client:
        return {run.name: run for run in client.read_task_runs(flow_run_filter=chosen)}


def read_crons(deployment: str) -> list[str]:
    """When a deployment runs by itself, as the server says."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name(deployment)
    return [one.schedule.cron for one in found.schedules]


def environment(server: str) -> dict[str, str]:
    """For our own child processes: the same server, our modules, no terminal tricks."""
    return {**os.environ, "PREFECT_API_URL": server, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


def run_prefect(*arguments: str) -> str:
    """Run a command of Prefect's in this process; its output."""
    from prefect.testing.cli import invoke_and_assert

    done = invoke_and_assert(["--no-prompt", *arguments], expected_code=None)
    assert done.exit_code == 0, done.output
    return done.output


@contextmanager
def background(server: str, *arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process that is interrupted, as from a keyboard, at the end of the block."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment(server),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                try:
                    process.wait(patience(20))
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
