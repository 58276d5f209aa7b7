"""Who does the tasks of a flow: its own process, or the workers of a Dask or a Ray cluster.

The work is the same wherever it is done. A worker that dies is replaced by the cluster and its task done
again; one that hangs loses its shards to another (`flows.slices`).
"""

from __future__ import annotations

import importlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlsplit

from prefect.client.orchestration import get_client
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from pipeline.base.errors import ConfigError, MissingDependencyError, StorageError
from pipeline.base.job_settings import RunnerConfig
from pipeline.base.settings import ExtractConfig

AnyRunner = TaskRunner[PrefectFuture[Any]]

ANSWER_WITHIN_S = 10.0
"""Seconds that a cluster has to say that it is there."""


def one_at_a_time() -> AnyRunner:
    """The task runner of our flows unless another is given: one thread, for one device."""
    return cast(AnyRunner, ThreadPoolTaskRunner[Any](max_workers=1))


def make_task_runner(runner: RunnerConfig) -> AnyRunner:
    """The task runner that settings name.

    Raises:
        MissingDependencyError: Its package is not installed.
        ConfigError: The address cannot be one.
        StorageError: Nobody answers there.
    """
    if runner.kind == "here":
        return one_at_a_time()
    module: Any = _import(f"prefect_{runner.kind}", runner.kind)
    if runner.address and runner.address != "auto":
        _check_address(runner)
    if runner.kind == "dask":
        if runner.address:
            return cast(AnyRunner, module.DaskTaskRunner(address=runner.address))
        cores = str(cores_each(runner))
        local: dict[str, Any] = {
            "n_workers": runner.workers,
            "threads_per_worker": 1,
            "host": "127.0.0.1",
            "dashboard_address": None,
            "silence_logs": "WARNING",
            "env": {**dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), cores), **_say_where()},
        }
        return cast(AnyRunner, module.DaskTaskRunner(cluster_kwargs=local))
    if runner.address:
        return cast(AnyRunner, module.RayTaskRunner(address=runner.address))
    options = {
        "num_cpus": runner.workers,
        "include_dashboard": False,
        "log_to_driver": False,
        "runtime_env": {"env_vars": _say_where()},
    }
    return cast(AnyRunner, module.RayTaskRunner(init_kwargs=options))


def share_cores(config: ExtractConfig, runner: RunnerConfig) -> ExtractConfig:
    """The same in one process a worker, with as many decoding threads as one on this machine has cores."""
    if runner.kind == "here":
        return config
    config = replace(config, processes=1)
    if runner.address or config.workers:
        return config
    from pipeline.extract.seat import worker_count

    return replace(config, workers=worker_count(config, cores_each(runner)))


@contextmanager
def claim_gpus(config: ExtractConfig, runner: RunnerConfig) -> Iterator[None]:
    """Tasks that are submitted in the block have a GPU each, where Ray gives them out and has some."""
    if runner.kind == "ray" and config.device != "cpu":
        ray: Any = importlib.import_module("ray")
        if ray.cluster_resources().get("GPU"):
            with importlib.import_module("prefect_ray.context").remote_options(num_gpus=1):
                yield
            return
    yield


def cores_each(runner: RunnerConfig) -> int:
    """Cores of this machine for each of its workers."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) // runner.workers)


def _say_where() -> dict[str, str]:
    """The environment in which a worker finds the Prefect server of this process: else it starts its own.

    Such a server takes ten CPU seconds and 200 MB, and outlives a worker that is killed. What else is set, keys
    too, a worker of this machine has from the environment and the profile.
    """
    with get_client(sync_client=True) as client:
        return {"PREFECT_API_URL": str(client.api_url)}


def _import(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f'[runner] kind = "{extra}" needs {name.replace("_", "-")}: {error}.',
            f"pip install 'multimodal-neurons[{extra}]'",
        ) from error


def _check_address(runner: RunnerConfig) -> None:
    """Refuse an address where nobody answers: the cluster's own client would try for half a minute and more."""
    text = runner.address if "//" in runner.address else f"//{runner.address}"
    try:
        host, port = urlsplit(text).hostname, urlsplit(text).port
    except ValueError:
        host, port = None, None
    example = "tcp://host:8786" if runner.kind == "dask" else "ray://host:10001"
    if not host or not port:
        raise ConfigError(
            f"[runner] address is {runner.address!r}.", f"It must be as {example}, or left out."
        )
    try:
        socket.create_connection((host, port), ANSWER_WITHIN_S).close()
    except OSError as error:
        raise StorageError(
            f"There is no {runner.kind.capitalize()} cluster at {runner.address}: {error}.",
            f"Start one ({'dask scheduler' if runner.kind == 'dask' else 'ray start --head'}), or leave "
            "the address out: then one is started on this machine.",
        ) from error
