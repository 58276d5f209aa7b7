"""Which failures are worth another try, and how tasks try again."""

from __future__ import annotations

from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from pipeline.base.errors import NeuronsError, StorageError


def can_get_better(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed task is worth another try.

    A place that could not be written or read, a lost connection or anything unforeseen may have
    passed. Our other errors say that an input or a setting is wrong: they would only come again.
    """
    error = state.result(raise_on_failure=False)
    return isinstance(error, StorageError) or not isinstance(error, NeuronsError)


TASK_OPTIONS: dict[str, Any] = {
    "retries": 2,
    "retry_delay_seconds": [5.0, 60.0],
    "retry_condition_fn": can_get_better,
    "cache_policy": NO_CACHE,
}
"""Options of all our tasks. No cache: what is done stands in the warehouse's manifests, which a killed
server or an emptied cache cannot forget."""
