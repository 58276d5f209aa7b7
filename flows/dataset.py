"""``dataset``: the whole job from one configuration: ingest, extract, build, check, summary."""

from __future__ import annotations

from prefect import flow

from flows.artifacts import artifact_key, show_checks, show_markdown
from flows.build import refuse_violations
from flows.runners import one_at_a_time
from flows.server import guarded
from flows.steps import Tasks
from pipeline.base.job_file import load_config
from pipeline.base.job_settings import PipelineConfig
from pipeline.base.storage import Store
from pipeline.jobs.job import Page, run_job
from pipeline.report.summary import link_root, render_summary


@guarded
@flow(name="dataset", task_runner=one_at_a_time())
def dataset_flow(
    config: PipelineConfig | str, shards_per_task: int = 8, tasks_at_once: int = 4
) -> list[str]:
    """Ingest, extract, build, check and summarise; each step does what earlier runs left.

    Failed shards do not stop the steps after them: the marts and the summary are made from all that
    is done, and then the flow run fails with the reasons.

    Args:
        config: The whole job, or the path of a TOML file as ``neurons run`` takes it. A file is read
            when the flow runs, so a schedule follows its changes.
        shards_per_task: Shards in one task of the extraction.
        tasks_at_once: Tasks handed to the task runner at once; at least its number of workers.

    Returns:
        Paths of the summaries in the warehouse, one for each run.

    Raises:
        ShardError: Some shards failed; all else is done.
        WarehouseError: A check found violations.
        NeuronsError: A step could not be done.
    """
    job = load_config(config) if isinstance(config, str) else config
    worker = Tasks(shards_per_task, tasks_at_once, job.runner)
    done = run_job(job, worker)
    show_checks("checks", done.checks, job.warehouse)
    for run_id, page in zip(done.run_ids, done.pages, strict=True):
        _show_page(job, run_id, page)
    worker.raise_failures()
    refuse_violations(done.checks, job.warehouse)
    return [page.path for page in done.pages]


def _show_page(job: PipelineConfig, run_id: str, page: Page) -> None:
    show_markdown(
        artifact_key(job.dataset, run_id, "summary"),
        render_summary(page.summary, link_root(Store(job.warehouse))),
        f"Summary of {job.dataset}, run {run_id}",
    )
