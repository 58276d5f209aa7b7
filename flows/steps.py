"""The steps of a job as tasks: each is shown and tried again by itself, an extraction in slices of shards."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

from prefect import task
from prefect.logging import get_run_logger

from flows.artifacts import ArtifactProgress
from flows.extract import GPU_TAG, Outcome, hold_device, run_extract
from flows.parts import build_parts
from flows.retries import TASK_OPTIONS
from pipeline.base.errors import ShardError
from pipeline.base.job_settings import RunnerConfig
from pipeline.base.settings import ExtractConfig
from pipeline.base.steps import Result, Step

if TYPE_CHECKING:
    from pipeline.extract.account import RunSummary


@task(name="step", **TASK_OPTIONS)
def do_step(step: Step[Any]) -> Any:
    """Do a step of a job. What it says is logged."""
    with hold_device(step.device) if step.device else nullcontext():
        done = step.work(progress=ArtifactProgress(step.title))
    get_run_logger().info("%s", done)
    return done


class Tasks:
    """Does steps as tasks of the current flow run.

    Args:
        shards_per_task: Shards in one task of an extraction.
        tasks_at_once: Tasks handed to the task runner at once.
        runner: Whose workers do slices of extractions and parts of builds; those of the current flow if None.
    """

    def __init__(
        self,
        shards_per_task: int = 8,
        tasks_at_once: int = 4,
        runner: RunnerConfig | None = None,
    ) -> None:
        self._shards_per_task, self._tasks_at_once = shards_per_task, tasks_at_once
        self._runner = runner
        self.failures: list[BaseException] = []

    def do(self, step: Step[Result]) -> Result:
        """Do a step and wait for it. Of an extraction, shards that fail go to `failures`.

        Where a cluster is named, its workers do the slices of an extraction and the parts of a build.
        """
        if step.extraction is not None:
            return cast(Result, self._extract(step.extraction))
        if step.build is not None and self._runner is not None and self._runner.kind != "here":
            build_parts(step.build, self._runner)
        tags = {GPU_TAG} if step.device not in (None, "cpu") else set()
        doing = do_step.with_options(name=step.name, tags=tags).submit(step)
        return cast(Result, doing.result())

    def attempt(self, step: Step[Result]) -> Result | None:
        """Do a step; shards that fail go to `failures`."""
        try:
            return self.do(step)
        except ShardError as error:
            self.failures.append(error)
            return None

    def raise_failures(self) -> None:
        """Raise what has failed: one error for all.

        Raises:
            ShardError: Some shards failed; all others are done.
        """
        Outcome("", failures=self.failures).raise_failures()

    def _extract(self, config: ExtractConfig) -> RunSummary:
        from pipeline.extract.account import RunSummary

        found = run_extract(config, self._shards_per_task, self._tasks_at_once, self._runner)
        self.failures += found.failures
        return RunSummary(
            found.run_id,
            config.dataset,
            shard_count=len(found.rows),
            read_count=sum(row.read for row in found.rows),
            written_count=sum(row.written for row in found.rows),
            rejected_count=sum(row.rejected for row in found.rows),
        )
