"""The whole job from one configuration: the list of steps that the command line and the flows both walk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pipeline.base.effect_settings import AblationConfig, EffectChoice, EffectConfig
from pipeline.base.errors import ShardError
from pipeline.base.facet_settings import FacetProbeChoice, FacetProbeConfig
from pipeline.base.job_settings import PipelineConfig, ProbeConfig, StimuliConfig
from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import (
    ExtractConfig,
    IngestConfig,
    IngestStep,
    LabelSettings,
    SimilarityConfig,
)
from pipeline.base.steps import BuildAim, Step, Worker
from pipeline.base.storage import Store
from pipeline.base.support_settings import SupportChoice, SupportConfig
from pipeline.base.visualise_settings import VisualiseChoice, VisualiseConfig
from pipeline.effects.steps import ablate_step, effect_step
from pipeline.extract.step import extract_step
from pipeline.probes.attack import ATTACK
from pipeline.probes.probe import Probe, ProbeSummary, run_probe
from pipeline.probes.stroop import STROOP
from pipeline.report.summary import Summary, summarise, write_summary
from pipeline.stimuli.make import stimuli_step
from pipeline.upkeep.build import BuildSummary, build
from pipeline.upkeep.check import check
from pipeline.upkeep.check_views import CheckResult
from pipeline.visualise.steps import facet_probes_step, visualise_step

if TYPE_CHECKING:
    from pipeline.evidence.concept_scores import SimilaritySummary
    from pipeline.sources.ingest import IngestSummary
    from pipeline.support.run import SupportSummary

Choice = EffectChoice | SupportChoice | FacetProbeChoice | VisualiseChoice
"""Tables of a job file that are done for each run after the build."""
Config = TypeVar("Config")


@dataclass(frozen=True)
class Page:
    """The summary of a run."""

    path: str
    """Of the page, in the warehouse."""
    summary: Summary


@dataclass(frozen=True)
class Told:
    """What a step did, for a person."""

    step: str
    text: str
    aside: str = ""
    """What is worth a look."""

    def __str__(self) -> str:
        return f"{self.step:8} {self.text}" + (f"; {self.aside}" if self.aside else "")


@dataclass
class JobSummary:
    """What each step did, and what the checks found."""

    told: list[Told] = field(default_factory=list)
    run_ids: list[str] = field(default_factory=list)
    """Of the extractions; the tests on words have their own."""
    probes: list[ProbeSummary] = field(default_factory=list)
    built: BuildSummary | None = None
    checks: list[CheckResult] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)

    def tell(self, step: str, text: str, aside: str = "") -> None:
        """Add a line."""
        self.told.append(Told(step, text, aside))


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
    """All steps of a job, from ingest to summary, what neurons do and what supports labels included: each does
    what is left.

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
            summary.tell(
                "ingest",
                f"{done.shard_count} shards, {done.written_count} images, "
                f"{done.text_count} texts, {done.rejected_count} rejected, "
                f"{done.duplicate_count} repeated images",
            )
    for stimuli in job.stimuli:
        do_stimuli(summary, worker, stimuli)
    for config in job.extract:
        failed_before = len(worker.failures)
        run_id = do_extract(summary, worker, config)
        if job.similarity and len(worker.failures) == failed_before:
            reading = _similarity_after(config, run_id)
            do_similarity(summary, worker, replace(reading, templates=job.similarity_templates))
    attacked: list[tuple[ExtractConfig, ProbeSummary]] = []
    for probe, tests in ((ATTACK, job.attack), (STROOP, job.stroop)):
        for test in tests:
            found = do_probe(summary, worker, probe, test)
            if found is not None and probe is ATTACK:
                attacked.append((test.extract, found))
    do_build(summary, worker, job.warehouse, job.labels)
    if job.ablate is not None:
        for config, found in attacked:
            if job.ablate.class_set in ("", found.class_set):
                chosen = replace(job.ablate, class_set=found.class_set)
                do_ablate(
                    summary,
                    worker,
                    AblationConfig(
                        warehouse=config.warehouse,
                        dataset=config.dataset,
                        run=found.run_id,
                        **asdict(chosen),
                    ),
                )
    for config, run_id in zip(job.extract, summary.run_ids, strict=True):
        if job.effect is not None:
            do_effect(summary, worker, _of_run(EffectConfig, config, run_id, job.effect))
        if job.support is not None:
            do_support(summary, worker, _of_run(SupportConfig, config, run_id, job.support))
        if job.facet_probes is not None:
            taught = _of_run(FacetProbeConfig, config, run_id, job.facet_probes)
            do_facet_probes(summary, worker, taught)
        if job.visualise is not None:
            do_visualise(summary, worker, _of_run(VisualiseConfig, config, run_id, job.visualise))
    do_check(summary, worker, job.warehouse)
    for run_id in summary.run_ids:
        page = worker.do(summary_step(job.warehouse, job.dataset, run_id, summary.checks))
        summary.pages.append(page)
        summary.tell("summary", page.path)
    return summary


def _of_run(
    kind: Callable[..., Config], extracted: ExtractConfig, run_id: str, choice: Choice
) -> Config:
    """What a job file chose, for one run."""
    return kind(
        warehouse=extracted.warehouse,
        dataset=extracted.dataset,
        run=run_id,
        **asdict(choice),
    )


def do_stimuli(summary: JobSummary, worker: Worker, config: StimuliConfig) -> None:
    """Make a dataset of stimuli and tell of it."""
    done = worker.attempt(stimuli_step(config))
    if done is not None:
        summary.tell(
            "stimuli",
            f"{config.dataset}: {done.shard_count} shards, {done.written_count} images, "
            f"{done.rejected_count} rejected, {done.duplicate_count} repeated images",
        )


def do_extract(summary: JobSummary, worker: Worker, config: ExtractConfig) -> str:
    """Extract and tell of it. Returns the run's id."""
    done = worker.do(extract_step(config))
    summary.run_ids.append(done.run_id)
    rate = done.read_count / done.seconds if done.seconds else 0.0
    summary.tell(
        "extract",
        f"run {done.run_id}: {done.written_count} images written, "
        f"{done.rejected_count} rejected, {rate:.0f} images/s; "
        f"{done.skipped_shard_count} of {done.shard_count} shards were done already",
    )
    return done.run_id


def do_similarity(summary: JobSummary, worker: Worker, config: SimilarityConfig) -> None:
    """Let the model read its images and tell of it."""
    read = worker.do(similarity_step(config))
    summary.tell(
        "similar",
        f"run {read.run_id}: {read.concept_count} concepts, "
        f"{read.row_count} likely pairs of image and concept",
    )


def do_probe(
    summary: JobSummary, worker: Worker, probe: Probe, config: ProbeConfig
) -> ProbeSummary | None:
    """Make a test on written words and tell of it; without it, if some of its shards failed."""
    failed_before = len(worker.failures)
    try:
        found = run_probe(probe, config.extract, config.choice, worker)
    except ShardError:
        if len(worker.failures) == failed_before:
            raise
        return None
    summary.probes.append(found)
    summary.tell(
        probe.name,
        f"run {found.run_id}, class set {found.class_set}: {found.class_count} classes",
    )
    return found


def do_build(
    summary: JobSummary, worker: Worker, warehouse: str, labels: LabelSettings | None
) -> None:
    """Write the marts and tell of it."""
    summary.built = worker.do(build_step(warehouse, labels))
    counts = ", ".join(f"{name} {n}" for name, n in summary.built.row_counts.items())
    summary.tell("build", counts)


def do_effect(summary: JobSummary, worker: Worker, config: EffectConfig) -> None:
    """Measure what neurons of a run do and tell of it."""
    for done in worker.do(effect_step(config)):
        summary.tell("effect", str(done))


def do_support(summary: JobSummary, worker: Worker, config: SupportConfig) -> None:
    """Hold the labels of a run against fresh images and tell of it."""
    for done in worker.do(support_step(config)):
        summary.tell("support", str(done))


def do_facet_probes(summary: JobSummary, worker: Worker, config: FacetProbeConfig) -> None:
    """Train facet probes of a run and tell of them."""
    for done in worker.do(facet_probes_step(config)):
        summary.tell("facets", str(done))


def do_visualise(summary: JobSummary, worker: Worker, config: VisualiseConfig) -> None:
    """Let neurons of a run draw and tell of it."""
    for done in worker.do(visualise_step(config)):
        summary.tell("visualise", str(done))


def do_ablate(summary: JobSummary, worker: Worker, config: AblationConfig) -> None:
    """Try attacks without the neurons that they move and tell of it."""
    for done in worker.do(ablate_step(config)):
        summary.tell("ablate", str(done))


def do_check(summary: JobSummary, worker: Worker, warehouse: str) -> None:
    """Check everything and tell of it."""
    summary.checks = worker.do(check_step(warehouse))
    found = sum(r.violation_count for r in summary.checks if not r.is_warning)
    warned = [r.name for r in summary.checks if r.is_warning and r.violation_count]
    aside = f"warnings: {', '.join(warned)}" if warned else ""
    summary.tell("check", f"{len(summary.checks)} checks, {found} violations", aside)


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
    aim = BuildAim(warehouse, labels)
    return Step(
        "build marts", f"Marts of {warehouse}", partial(build, warehouse, labels), build=aim
    )


def support_step(config: SupportConfig) -> Step[list[SupportSummary]]:
    """Make fresh images of what a run's labels say, and keep what its neurons answer."""
    return Step(
        "measure support", f"Support of {config.run}", partial(_support, config), config.device
    )


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


def _support(config: SupportConfig, progress: ProgressCallback | None) -> list[SupportSummary]:
    from pipeline.support.run import measure_support

    return measure_support(config, progress)


def _summarise(
    warehouse: str,
    dataset: str,
    run_id: str,
    checks: list[CheckResult],
    progress: ProgressCallback | None,
) -> Page:
    summary = summarise(warehouse, dataset, run_id, checks)
    return Page(write_summary(Store(warehouse), summary), summary)
