"""What the flows ``attack`` and ``stroop`` share: the steps of a test on written words, and its tables."""

from __future__ import annotations

from typing import Any

from prefect.artifacts import create_table_artifact

from flows.artifacts import artifact_key
from flows.steps import Tasks
from pipeline.base.settings import ClassChoice, ExtractConfig
from pipeline.probes.probe import Probe, ProbeSummary, run_probe


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
    found = run_probe(probe, config, choice, Tasks(shards_per_task, tasks_at_once))
    show_probe(probe, config, found)
    return found.class_set


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
