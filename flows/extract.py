"""``extract``: shards through a model, as tasks over slices of shards.

A task may be run again, by a retry or by the next flow run: shards that are done are skipped, because
their manifests say so. Prefect's own record of results is not needed for that and not kept.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from prefect import flow, task
from prefect.concurrency.sync import concurrency
from prefect.logging import get_run_logger
from prefect.tasks import TaskRunNameCallbackWithParameters

from flows.artifacts import (
    ArtifactProgress,
    ShardRow,
    artifact_key,
    create_bar,
    move_bar,
    show_shards,
)
from flows.retries import TASK_OPTIONS
from flows.runners import claim_gpus, make_task_runner, one_at_a_time, share_cores
from flows.server import guarded, show_if_there
from flows.slices import Lost, do_slices
from pipeline.base.errors import ConfigError, ShardError
from pipeline.base.job_settings import RunnerConfig
from pipeline.base.settings import ExtractConfig
from pipeline.base.storage import Store
from pipeline.tables.datasets import (
    Shard,
    read_dataset,
    run_folder,
)
from pipeline.tables.manifest_files import read_manifest
from pipeline.tables.manifests import ShardManifest

GPU_TAG = "gpu"
"""Tag of tasks that may use an accelerator: ``prefect concurrency-limit create gpu N`` limits them."""

_DEVICE = threading.Lock()
"""Held while a model works. Slices of one process share one model, and hooks are set on that model: two
of them at once would collect each other's activations. So they take turns, whatever the task runner;
more at once needs more processes."""


@contextmanager
def hold_device(device: str) -> Iterator[None]:
    """Be the only extraction in this process and, on an accelerator, within the limit of its name.

    The name is ``HOST-cuda-0`` and the like. Where nobody has made such a limit
    (``prefect gcl create HOST-cuda-0 --limit 1``) there is none, and Prefect's log says so once a task.
    """
    with _DEVICE, ExitStack() as limits:
        show_if_there(limits.enter_context, concurrency(device_limits(device)))
        try:
            yield
        finally:
            show_if_there(limits.close)  # a server that was lost meanwhile has no limits left


def device_limits(device: str) -> list[str]:
    """Names of the global concurrency limits that using a device is subject to: none for the CPU."""
    from pipeline.clip.device import choose_device

    place = choose_device(device)
    if place.type == "cpu":
        return []
    return [artifact_key(socket.gethostname(), place.type, str(place.index or 0))]


@dataclass(frozen=True)
class Slice:
    """What became of the shards of one task."""

    manifests: list[ShardManifest]
    images_per_s: float | None
    """None if all of them were done before."""


@task(name="open run", **TASK_OPTIONS)
def open_run(config: ExtractConfig) -> str:
    """Load the model, resolve the layers and open the run: what is wrong with the configuration shows here.

    Returns:
        The run's id.
    """
    from pipeline.extract.run import extract

    with hold_device(config.device):
        return extract(config, ordinals=()).run_id


def name_slice(parameters: dict[str, Any]) -> str:
    """``shards 8-15``: the name of a task run."""
    ordinals = parameters["ordinals"]
    return f"shards {ordinals[0]}-{ordinals[-1]}" if len(ordinals) > 1 else f"shard {ordinals[0]}"


@task(
    name="extract slice",
    task_run_name=cast(TaskRunNameCallbackWithParameters, name_slice),
    **TASK_OPTIONS,
)
def extract_slice(config: ExtractConfig, ordinals: tuple[int, ...]) -> Slice:
    """Extract some shards. Those that are done are skipped.

    Raises:
        ShardError: Some shards failed; the others of the slice are done.
    """
    from pipeline.extract.run import extract

    with hold_device(config.device):
        progress = ArtifactProgress(f"Images of {name_slice({'ordinals': ordinals})}")
        summary = extract(config, progress, ordinals)
    rate = summary.read_count / summary.seconds if summary.manifests else None
    return Slice(read_manifests(config, summary.run_id, ordinals), rate)


def read_manifests(
    config: ExtractConfig, run_id: str, ordinals: Sequence[int]
) -> list[ShardManifest]:
    """Manifests of the shards that are done or have failed."""
    store = Store(config.warehouse)
    folder = run_folder(config.dataset, run_id)
    found = (read_manifest(store, folder, ordinal) for ordinal in ordinals)
    return [manifest for manifest in found if manifest is not None]


@dataclass
class Outcome:
    """A run after an extract: what is there, and what failed."""

    run_id: str
    rows: list[ShardRow] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    def raise_failures(self) -> None:
        """Raise what failed, if anything did: one error for all."""
        if len(self.failures) == 1:
            raise self.failures[0]
        if self.failures:
            listed = "\n  ".join(str(error) for error in self.failures)
            raise ShardError(
                f"{len(self.failures)} tasks failed; the shards of the others are done.\n  {listed}",
                "Mend what the lines above name and run the flow again: it does what is left.",
            )


def run_extract(
    config: ExtractConfig,
    shards_per_task: int,
    tasks_at_once: int,
    runner: RunnerConfig | None = None,
) -> Outcome:
    """Extract a dataset in tasks of the current flow run. Slices that fail do not stop the others.

    Args:
        config: What to compute.
        shards_per_task: Shards in a task; a failed task is tried again as a whole, quickly, because
            its done shards are skipped.
        tasks_at_once: Tasks handed to the task runner before the first of them has ended. At least
            the number of its workers, or some have nothing to do.
        runner: Whose workers do the tasks; those of the current flow if None.

    Raises:
        NeuronsError: Nothing could be started, or no shard can be done (a full disk, a lost place).
    """
    if shards_per_task < 1 or tasks_at_once < 1:
        raise ConfigError(
            f"shards_per_task is {shards_per_task} and tasks_at_once {tasks_at_once}.",
            "Both must be 1 or more.",
        )
    if runner is None or runner.kind == "here":
        return _run_slices(config, shards_per_task, tasks_at_once, RunnerConfig())
    # A flow within the flow: a flow has one task runner, and it must be there before it begins.
    make_flow = flow(
        name=f"extract with {runner.kind}",
        task_runner=make_task_runner(runner),
        validate_parameters=False,
    )
    at_once = max(tasks_at_once, 2 * runner.workers)
    spread = make_flow(_run_slices)
    return spread(share_cores(config, runner), shards_per_task, at_once, runner)


def _run_slices(
    config: ExtractConfig, shards_per_task: int, tasks_at_once: int, runner: RunnerConfig
) -> Outcome:
    tags = set() if config.device == "cpu" else {GPU_TAG}
    shards = read_dataset(Store(config.warehouse), config.dataset).shards
    with claim_gpus(config, runner):
        outcome = Outcome(open_run.with_options(tags=tags).submit(config).result())
        get_run_logger().info(
            "Run %s: %d shards of %s", outcome.run_id, len(shards), config.dataset
        )
        bar = create_bar(
            f"Shards of {config.dataset} that are done or have failed",
            key=artifact_key(config.dataset, outcome.run_id, "progress"),
        )
        extract_some = extract_slice.with_options(tags=tags)
        slices = [shards[i : i + shards_per_task] for i in range(0, len(shards), shards_per_task)]
        try:
            for some, result in do_slices(
                slices,
                lambda some: extract_some.submit(config, tuple(shard.ordinal for shard in some)),
                tasks_at_once,
                lambda some: len(read_manifests(config, outcome.run_id, [s.ordinal for s in some])),
                None if runner.kind == "here" else config.lease_s,
            ):
                _collect(config, outcome, some, result)
                move_bar(bar, 100 * len(outcome.rows) / len(shards))
        finally:
            told = {row.shard for row in outcome.rows}
            outcome.rows += [_row(shard, None, None) for shard in shards if shard.name not in told]
            place = {shard.name: shard.ordinal for shard in shards}
            outcome.rows.sort(key=lambda row: place[row.shard])
            what = f"{config.dataset}, run {outcome.run_id}"
            show_shards(artifact_key(config.dataset, outcome.run_id, "shards"), outcome.rows, what)
    return outcome


def _collect(
    config: ExtractConfig,
    outcome: Outcome,
    shards: Sequence[Shard],
    result: Slice | Lost | Exception,
) -> None:
    """Add the shards of a slice to the table.

    Raises:
        Exception: What failed it, unless that was one of its shards, or the death of its workers.
    """
    rate = None
    if isinstance(result, Slice):
        rate, manifests = result.images_per_s, result.manifests
    else:
        if isinstance(result, Lost):
            names = ", ".join(shard.name for shard in shards)
            result = ShardError(
                f"The worker that did the shards {names} died, and so did those that tried again: "
                f"{result.error}.",
                "Look into the worker's log. If the system killed it for want of memory: fewer workers, "
                "or a smaller batch_size.",
            )
        if not isinstance(result, ShardError):
            raise result
        outcome.failures.append(result)
        manifests = read_manifests(config, outcome.run_id, [shard.ordinal for shard in shards])
    by_ordinal = {manifest["ordinal"]: manifest for manifest in manifests}
    outcome.rows += [_row(shard, by_ordinal.get(shard.ordinal), rate) for shard in shards]


def _row(shard: Shard, manifest: ShardManifest | None, rate: float | None) -> ShardRow:
    if manifest is None:
        return ShardRow(shard.name, "pending", 0, 0, 0, None, 0.0, None)
    return ShardRow(
        shard=shard.name,
        status=manifest["status"],
        read=manifest["read_count"],
        written=manifest["written_count"],
        rejected=manifest["rejected_count"],
        images_per_s=rate,
        seconds=manifest["seconds"]["wall"],
        error=manifest["error"],
    )


@guarded
@flow(name="extract", task_runner=one_at_a_time())
def extract_flow(
    config: ExtractConfig,
    shards_per_task: int = 8,
    tasks_at_once: int = 4,
    runner: RunnerConfig | None = None,
) -> str:
    """Run a model over a dataset, shard by shard; a second run does what the first left.

    One slice at a time in this process by default, on whatever device the configuration names.

    Args:
        config: What to compute; the same fields as ``neurons extract`` takes.
        shards_per_task: Shards in one task.
        tasks_at_once: Tasks handed to the task runner at once; at least its number of workers.
        runner: A Dask or Ray cluster whose workers do the slices.

    Returns:
        The run's id.

    Raises:
        ShardError: Some shards failed; all others are done.
        NeuronsError: Nothing could be started, or the place cannot be written.
    """
    outcome = run_extract(config, shards_per_task, tasks_at_once, runner)
    outcome.raise_failures()
    return outcome.run_id
