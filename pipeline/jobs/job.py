"""The whole job from one configuration: ingest, extract, build, check. The CLI and the demo call it."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep, PipelineConfig
from pipeline.upkeep.build import BuildSummary, build
from pipeline.upkeep.check import CheckResult, check


@dataclass
class JobSummary:
    """What each step did, as lines for a person, and what the checks found."""

    lines: list[str] = field(default_factory=list)
    run_ids: list[str] = field(default_factory=list)
    built: BuildSummary | None = None
    checks: list[CheckResult] = field(default_factory=list)


def default_job(warehouse: str) -> PipelineConfig:
    """The embedded default of the flows: OpenMoji's drawings through nano."""
    return PipelineConfig(
        warehouse=warehouse,
        dataset="openmoji",
        ingest=IngestStep("openmoji"),
        ingest_limits=IngestConfig(warehouse, "openmoji", shard_size=500),
        extract=(ExtractConfig(warehouse, "openmoji", "nano", ("goh2021",), device="cpu"),),
    )


def run_job(config: PipelineConfig, progress: ProgressCallback | None = None) -> JobSummary:
    """Run every step; each finds what is done already and does the rest.

    Raises:
        NeuronsError: A step could not be done. What was finished stays.
    """
    from pipeline.evidence.similarity import score_similarity, similarity_config
    from pipeline.extract.run import extract
    from pipeline.sources.ingest import ingest

    progress, summary = progress or NoProgress(), JobSummary()
    if config.ingest is not None:
        limits = config.ingest_limits or IngestConfig(config.warehouse, config.dataset)
        done = ingest(limits, config.ingest, progress)
        summary.lines.append(
            f"ingest   {done.shard_count} shards, {done.written_count} images, "
            f"{done.text_count} texts, {done.rejected_count} rejected, "
            f"{done.duplicate_count} repeated images"
        )
    for run in config.extract:
        result = extract(run, progress)
        summary.run_ids.append(result.run_id)
        rate = result.read_count / result.seconds if result.seconds else 0.0
        summary.lines.append(
            f"extract  run {result.run_id}: {result.written_count} images written, "
            f"{result.rejected_count} rejected, {rate:.0f} images/s; "
            f"{result.skipped_shard_count} of {result.shard_count} shards were done already"
        )
        if config.similarity:
            read = score_similarity(similarity_config(run, result.run_id), progress)
            summary.lines.append(
                f"similar  run {read.run_id}: {read.concept_count} concepts, "
                f"{read.row_count} likely pairs of image and concept"
            )
    summary.built = build(config.warehouse, config.labels, progress)
    counts = ", ".join(f"{name} {n}" for name, n in summary.built.row_counts.items())
    summary.lines.append(f"build    {counts}")
    summary.checks = check(config.warehouse, progress)
    found = sum(r.violation_count for r in summary.checks if not r.is_warning)
    warned = [r.name for r in summary.checks if r.is_warning and r.violation_count]
    tail = f"; warnings: {', '.join(warned)}" if warned else ""
    summary.lines.append(f"check    {len(summary.checks)} checks, {found} violations{tail}")
    return summary
