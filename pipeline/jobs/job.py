"""The whole job from one configuration: the list of steps that the command line and the flows both walk."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import (
    ExtractConfig,
    IngestConfig,
    IngestStep,
    LabelSettings,
    PipelineConfig,
    SimilarityConfig,
)
from pipeline.base.steps import Step, Worker
from pipeline.base.storage import Store
from pipeline.extract.step import extract_step
from pipeline.report.summary import summarise, write_summary
from pipeline.upkeep.build import BuildSummary, build
from pipeline.upkeep.check import CheckResult, check

if TYPE_CHECKING:
    from pipeline.evidence.concept_scores import SimilaritySummary
    from pipeline.sources.ingest import IngestSummary


@dataclass(frozen=True)
class Page:
    """The summary of a run."""

    path: str
    """Of the page, in the warehouse."""
    summary: dict[str, Any]


@dataclass
class JobSummary:
    """What each step did, as lines for a person, and what the checks found."""

    lines: list[str] = field(default_factory=list)
    run_ids: list[str] = field(default_factory=list)
    built: BuildSummary | None = None
    checks: list[CheckResult] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)


def default_job(warehouse: str) -> PipelineConfig:
    """The embedded default of the flows: OpenMoji's drawings through nano."""
    return PipelineConfig(
        warehouse=warehouse,
        dataset="openmoji",
        ingest=IngestStep("openmoji"),
        ingest_limits=IngestConfig(warehouse, "openmoji", shard_size=500),
        extract=(ExtractConfig(warehouse, "openmoji", "nano", ("goh2021",), device="cpu"),),
    )


def run_job(job: PipelineConfig, worker: Worker) -> JobSummary:
    """Ingest, extract, similarity, build, check, summary. Each step finds what is done and does the rest.

    Args:
        job: What to do.
        worker: Who does it: `steps.Here`, or the flows' own, which makes tasks.

    Raises:
        NeuronsError: A step could not be done. What was finished stays.
    """
    summary = JobSummary()
    if job.ingest is not None:
        limits = job.ingest_limits or IngestConfig(job.warehouse, job.dataset)
        done = worker.attempt(ingest_step(limits, job.ingest))
        if done is not None:
            summary.lines.append(
                f"ingest   {done.shard_count} shards, {done.written_count} images, "
                f"{done.text_count} texts, {done.rejected_count} rejected, "
                f"{done.duplicate_count} repeated images"
            )
    for config in job.extract:
        failed_before = len(worker.failures)
        run_id = do_extract(summary, worker, config)
        if job.similarity and len(worker.failures) == failed_before:
            do_similarity(summary, worker, _similarity_after(config, run_id))
    do_build(summary, worker, job.warehouse, job.labels)
    do_check(summary, worker, job.warehouse)
    for run_id in summary.run_ids:
        page = worker.do(summary_step(job.warehouse, job.dataset, run_id, summary.checks))
        summary.pages.append(page)
        summary.lines.append(f"summary  {page.path}")
    return summary


def do_extract(summary: JobSummary, worker: Worker, config: ExtractConfig) -> str:
    """Extract and tell of it. Returns the run's id."""
    done = worker.do(extract_step(config))
    summary.run_ids.append(done.run_id)
    rate = done.read_count / done.seconds if done.seconds else 0.0
    summary.lines.append(
        f"extract  run {done.run_id}: {done.written_count} images written, "
        f"{done.rejected_count} rejected, {rate:.0f} images/s; "
        f"{done.skipped_shard_count} of {done.shard_count} shards were done already"
    )
    return done.run_id


def do_similarity(summary: JobSummary, worker: Worker, config: SimilarityConfig) -> None:
    """Let the model read its images and tell of it."""
    read = worker.do(similarity_step(config))
    summary.lines.append(
        f"similar  run {read.run_id}: {read.concept_count} concepts, "
        f"{read.row_count} likely pairs of image and concept"
    )


def do_build(
    summary: JobSummary, worker: Worker, warehouse: str, labels: LabelSettings | None
) -> None:
    """Write the marts and tell of it."""
    summary.built = worker.do(build_step(warehouse, labels))
    counts = ", ".join(f"{name} {n}" for name, n in summary.built.row_counts.items())
    summary.lines.append(f"build    {counts}")


def do_check(
    summary: JobSummary, worker: Worker, warehouse: str, tells_warnings: bool = True
) -> None:
    """Check everything and tell of it."""
    summary.checks = worker.do(check_step(warehouse))
    found = sum(r.violation_count for r in summary.checks if not r.is_warning)
    warned = [r.name for r in summary.checks if r.is_warning and r.violation_count]
    tail = f"; warnings: {', '.join(warned)}" if warned and tells_warnings else ""
    summary.lines.append(f"check    {len(summary.checks)} checks, {found} violations{tail}")


def ingest_step(limits: IngestConfig, source: IngestStep) -> Step[IngestSummary]:
    """Bring the dataset up to date with its source."""
    title = f"Shards of {limits.dataset} from {source.source}"
    return Step("ingest", title, partial(_ingest, limits, source))


def similarity_step(config: SimilarityConfig) -> Step[SimilaritySummary]:
    """Let a run's own model read its images: all concepts and facets, from stored embeddings."""
    title = f"Similarity of {config.run}"
    return Step("read similarity", title, partial(_score, config), config.device)


def build_step(warehouse: str, labels: LabelSettings | None) -> Step[BuildSummary]:
    """Write the marts, if anything changed since they were written."""
    return Step("build marts", f"Marts of {warehouse}", partial(build, warehouse, labels))


def check_step(warehouse: str) -> Step[list[CheckResult]]:
    """Run every check. Violations do not fail it."""
    return Step("check warehouse", f"Checks of {warehouse}", partial(check, warehouse))


def summary_step(
    warehouse: str, dataset: str, run_id: str, checks: list[CheckResult]
) -> Step[Page]:
    """Write the summary of a run into the warehouse."""
    work = partial(_summarise, warehouse, dataset, run_id, checks)
    return Step("export summary", f"Summary of {run_id}", work)


def _similarity_after(config: ExtractConfig, run_id: str) -> SimilarityConfig:
    from pipeline.evidence.similarity import similarity_config

    return similarity_config(config, run_id)


def _ingest(
    limits: IngestConfig, source: IngestStep, progress: ProgressCallback | None
) -> IngestSummary:
    from pipeline.sources.ingest import ingest

    return ingest(limits, source, progress)


def _score(config: SimilarityConfig, progress: ProgressCallback | None) -> SimilaritySummary:
    from pipeline.evidence.similarity import score_similarity

    return score_similarity(config, progress)


def _summarise(
    warehouse: str,
    dataset: str,
    run_id: str,
    checks: list[CheckResult],
    progress: ProgressCallback | None,
) -> Page:
    summary = summarise(warehouse, dataset, run_id, checks)
    return Page(write_summary(Store(warehouse), summary), summary)
