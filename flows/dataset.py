"""``dataset``: the whole job from one configuration: ingest, extract, build, check, summary."""

from __future__ import annotations

from prefect import flow, task
from prefect.logging import get_run_logger

from flows.artifacts import ArtifactProgress, artifact_key, show_markdown
from flows.build import build_marts, check_warehouse, refuse_violations
from flows.extract import GPU_TAG, Outcome, hold_device, one_at_a_time, run_extract
from flows.retries import TASK_OPTIONS
from flows.server import guarded
from pipeline.base.errors import ShardError
from pipeline.base.job_file import load_config
from pipeline.base.settings import IngestConfig, IngestStep, PipelineConfig, SimilarityConfig
from pipeline.base.storage import Store
from pipeline.evidence.similarity import score_similarity, similarity_config
from pipeline.report.summary import link_root, render_summary, summarise, write_summary
from pipeline.sources.ingest import ingest
from pipeline.upkeep.check import CheckResult


@task(name="ingest", **TASK_OPTIONS)
def ingest_source(limits: IngestConfig, step: IngestStep) -> int:
    """Bring the dataset up to date with its source. Returns its number of shards.

    Raises:
        ShardError: Some shards failed; all others are registered and indexed.
    """
    summary = ingest(
        limits, step, ArtifactProgress(f"Shards of {limits.dataset} from {step.source}")
    )
    get_run_logger().info("%s", summary)
    return summary.shard_count


@task(name="export summary", **TASK_OPTIONS)
def export_summary(warehouse: str, dataset: str, run_id: str, checks: list[CheckResult]) -> str:
    """Write the summary of a run and show it. Returns the page's path in the warehouse."""
    store = Store(warehouse)
    summary = summarise(warehouse, dataset, run_id, checks)
    show_markdown(
        artifact_key(dataset, run_id, "summary"),
        render_summary(summary, link_root(store)),
        f"Summary of {dataset}, run {run_id}",
    )
    return write_summary(store, summary)


@task(name="read similarity", **TASK_OPTIONS)
def read_similarity(config: SimilarityConfig) -> None:
    """Let a run's own model read its images: all concepts and facets, from stored embeddings."""
    with hold_device(config.device):
        done = score_similarity(config, ArtifactProgress(f"Similarity of {config.run}"))
    get_run_logger().info("%s", done)


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
    failures: list[BaseException] = []
    if job.ingest is not None:
        limits = job.ingest_limits or IngestConfig(job.warehouse, job.dataset)
        try:
            ingest_source.submit(limits, job.ingest).result()
        except ShardError as error:
            failures.append(error)
    runs: list[Outcome] = []
    for extraction in job.extract:
        runs.append(run_extract(extraction, shards_per_task, tasks_at_once))
        failures += runs[-1].failures
        if job.similarity and not runs[-1].failures:
            tags = set() if extraction.device == "cpu" else {GPU_TAG}
            reading = read_similarity.with_options(tags=tags)
            reading.submit(similarity_config(extraction, runs[-1].run_id)).result()
    build_marts.submit(job.warehouse, job.labels).result()
    checks = check_warehouse.submit(job.warehouse).result()
    pages = [
        export_summary.submit(job.warehouse, job.dataset, run.run_id, checks).result()
        for run in runs
    ]
    Outcome("", failures=failures).raise_failures()
    refuse_violations(checks, job.warehouse)
    return pages
