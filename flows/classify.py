"""What the flows ``attack`` and ``stroop`` share: extract, classify, show the tables."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from flows.artifacts import ArtifactProgress, artifact_key
from flows.extract import GPU_TAG, hold_device, run_extract
from flows.retries import TASK_OPTIONS
from pipeline.base.settings import ClassChoice, ClassifyConfig, ExtractConfig
from pipeline.probes.probe import (
    Probe,
    ProbeSummary,
    classify_config,
    complete_choice,
    summarise_probe,
)


@task(name="classify run", **TASK_OPTIONS)
def classify_run(config: ClassifyConfig) -> str:
    """Score every example of a run against classes. Returns the class set's name."""
    from pipeline.evidence.classify import classify

    with hold_device(config.device):
        done = classify(config, ArtifactProgress(f"Shards of {config.dataset}, run {config.run}"))
    get_run_logger().info("%s", done)
    return done.class_set


def run_probe_tasks(
    probe: Probe,
    config: ExtractConfig,
    choice: ClassChoice,
    shards_per_task: int,
    tasks_at_once: int,
) -> str:
    """A probe as tasks of the current flow run; each does what earlier runs left.

    Returns:
        The class set's name.

    Raises:
        ConfigError: The given classes lack one that the stimuli need.
        WarehouseError: The dataset holds no such stimuli.
        ShardError: Some shards failed; all others are extracted, none is classified.
    """
    choice = complete_choice(probe, config.warehouse, config.dataset, choice)
    outcome = run_extract(config, shards_per_task, tasks_at_once)
    outcome.raise_failures()
    tags = set() if config.device == "cpu" else {GPU_TAG}
    classifying = classify_run.with_options(tags=tags)
    class_set: str = classifying.submit(classify_config(config, outcome.run_id, choice)).result()
    show_probe(probe, config, summarise_probe(probe, config, outcome.run_id, class_set))
    return class_set


def show_probe(probe: Probe, config: ExtractConfig, summary: ProbeSummary) -> None:
    """The tables of a probe as artifacts."""
    for number, table in enumerate(summary.tables, 1):
        rows: list[dict[str, Any]] = [
            dict(zip(table.columns, row, strict=True)) for row in table.rows
        ]
        random = " The model's weights are RANDOM." if summary.is_random else ""
        create_table_artifact(
            rows,
            key=artifact_key(config.dataset, summary.run_id, probe.name, str(number)),
            description=f"{table.title}. {summary.class_count} classes.{random}",
        )
