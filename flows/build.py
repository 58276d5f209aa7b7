"""``build``: the marts that rest on what was extracted, then every check."""

from __future__ import annotations

from prefect import flow
from prefect.logging import get_run_logger

from flows.artifacts import show_checks
from flows.parts import compact_runs
from flows.server import guarded
from flows.steps import Tasks
from pipeline.base.errors import WarehouseError
from pipeline.base.job_settings import RunnerConfig
from pipeline.base.settings import LabelSettings
from pipeline.base.steps import BuildAim
from pipeline.jobs.job import build_step, check_step
from pipeline.upkeep.check import run_violations
from pipeline.upkeep.check_views import CheckResult


def refuse_violations(results: list[CheckResult], warehouse: str) -> None:
    """Fail the flow run if a check that is more than a warning found something.

    Raises:
        WarehouseError: Names those checks.
    """
    if count := run_violations(results):
        names = [r.name for r in results if r.violation_count and not r.is_warning]
        raise WarehouseError(
            f"{count} violations in {warehouse}: {', '.join(names)}.",
            f"See their rows with: neurons check --warehouse {warehouse}",
        )


@guarded
@flow(name="build")
def build_flow(
    warehouse: str,
    labels: LabelSettings | None = None,
    runner: RunnerConfig | None = None,
    compact_first: bool = False,
) -> None:
    """Build the marts of a warehouse and check it.

    Args:
        warehouse: Folder or URL.
        labels: Parameters of the labelling views; those of the last build if None.
        runner: A Dask or Ray cluster whose workers do each run and each dataset as a task of its own.
        compact_first: Compact all runs before, each in a task.

    Raises:
        WarehouseError: Nothing to build from, or a check found violations.
    """
    worker = Tasks(runner=runner)
    if compact_first:
        compact_runs(BuildAim(warehouse, labels), runner or RunnerConfig())
    built = worker.do(build_step(warehouse, labels))
    log = get_run_logger()
    log.info("Marts: %s%s", built.row_counts, " (nothing had changed)" if built.was_current else "")
    checks = worker.do(check_step(warehouse))
    show_checks("checks", checks, warehouse)
    refuse_violations(checks, warehouse)
