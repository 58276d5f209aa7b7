"""``build``: the marts that rest on what was extracted, then every check."""

from __future__ import annotations

from prefect import flow, task
from prefect.logging import get_run_logger

from flows.artifacts import ArtifactProgress, show_checks
from flows.retries import TASK_OPTIONS
from flows.server import guarded
from pipeline.base.errors import WarehouseError
from pipeline.base.settings import LabelSettings
from pipeline.upkeep.build import BuildSummary, build
from pipeline.upkeep.check import CheckResult, check, run_violations


@task(name="build marts", **TASK_OPTIONS)
def build_marts(warehouse: str, labels: LabelSettings | None) -> BuildSummary:
    """Write the marts, if anything changed since they were written."""
    return build(warehouse, labels, ArtifactProgress(f"Marts of {warehouse}"))


@task(name="check warehouse", **TASK_OPTIONS)
def check_warehouse(warehouse: str) -> list[CheckResult]:
    """Run every check and show what they found. Violations do not fail it: see `refuse_violations`."""
    results = check(warehouse, ArtifactProgress(f"Checks of {warehouse}"))
    show_checks("checks", results, warehouse)
    return results


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
def build_flow(warehouse: str, labels: LabelSettings | None = None) -> None:
    """Build the marts of a warehouse and check it.

    Args:
        warehouse: Folder or URL.
        labels: Parameters of the labelling views; those of the last build if None.

    Raises:
        WarehouseError: Nothing to build from, or a check found violations.
    """
    built = build_marts.submit(warehouse, labels).result()
    log = get_run_logger()
    log.info("Marts: %s%s", built.row_counts, " (nothing had changed)" if built.was_current else "")
    refuse_violations(check_warehouse.submit(warehouse).result(), warehouse)
