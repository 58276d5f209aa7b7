"""The two tests on written words: typographic attack and Stroop. The CLI and the flows call them.

Each is an ordinary extraction (neurons and image embeddings in one pass, resumable) of a dataset of
stimuli, then a zero-shot classification of what it stored, then questions to the views.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb

from pipeline.base.errors import ConfigError, WarehouseError
from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import ClassChoice, ClassifyConfig, ExtractConfig
from pipeline.base.steps import Step, Worker
from pipeline.base.storage import Store
from pipeline.extract.step import extract_step
from pipeline.tables.datasets import read_dataset
from pipeline.warehouse.connect import connect
from pipeline.warehouse.left_out import list_left_out, refuse_left_out

if TYPE_CHECKING:
    from pipeline.evidence.classify import ClassifySummary


@dataclass(frozen=True)
class Probe:
    """One of the tests."""

    name: str
    """As the command is called: ``attack`` or ``stroop``."""
    stimulus: str
    """Its value in the view ``stimuli``; also the command that makes them."""
    templates: tuple[str, ...]
    """Default prompts."""
    needed_classes: str
    """SQL: names without which its images cannot be counted."""
    more_classes: str
    """SQL: names that are classes too, unless others are given."""
    tables: tuple[tuple[str, str], ...]
    """Title and SQL of what is told of a run (``$dataset``, ``$run_id``, ``$class_set``)."""


@dataclass(frozen=True)
class ProbeTable:
    """An answer to show."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class ProbeSummary:
    """What a test found."""

    run_id: str
    class_set: str
    class_count: int
    is_random: bool
    """The model's weights are seeded noise: the numbers show the machinery, not a model."""
    tables: tuple[ProbeTable, ...]


def run_probe(
    probe: Probe,
    config: ExtractConfig,
    choice: ClassChoice,
    worker: Worker,
) -> ProbeSummary:
    """Extract, classify and ask: the steps of the command line and of the flows.

    What is done already is not done again.

    Raises:
        ConfigError: The given classes lack one that the stimuli need.
        WarehouseError: The dataset holds no such stimuli.
        NeuronsError: A step could not be done. What was finished stays.
    """
    choice = complete_choice(probe, config.warehouse, config.dataset, choice)
    failed_before = len(worker.failures)
    run_id = worker.do(extract_step(config)).run_id
    if len(worker.failures) > failed_before:
        worker.raise_failures()  # half of the images would be another test
    done = worker.do(classify_step(classify_config(config, run_id, choice)))
    return summarise_probe(probe, config, run_id, done.class_set)


def classify_step(config: ClassifyConfig) -> Step[ClassifySummary]:
    """Score every example of a run against classes."""
    title = f"Shards of {config.dataset}, run {config.run}"
    return Step("classify run", title, partial(_classify, config), config.device)


def _classify(config: ClassifyConfig, progress: ProgressCallback | None) -> ClassifySummary:
    from pipeline.evidence.classify import classify  # torch only when it is needed

    return classify(config, progress)


def complete_choice(probe: Probe, warehouse: str, dataset: str, choice: ClassChoice) -> ClassChoice:
    """Fill in the classes and templates that were not given.

    Raises:
        ConfigError: The given classes lack one that the stimuli need.
        WarehouseError: The dataset holds no such stimuli.
    """
    read_dataset(Store(warehouse), dataset)  # says which there are
    with connect(warehouse) as connection:
        refuse_left_out(list_left_out(connection), dataset)
        needed = _names(connection, probe.needed_classes, dataset)
        more = _names(connection, probe.more_classes, dataset)
    if not needed:
        raise WarehouseError(
            f"Dataset {dataset!r} holds no {probe.stimulus} stimuli.",
            f"Make them with: neurons stimuli {probe.stimulus} --help",
        )
    if choice.classes and (missing := sorted(needed - set(choice.classes))):
        shown = ", ".join(map(repr, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise ConfigError(
            f"{len(missing)} classes that the stimuli of {dataset!r} name are not among the "
            f"{len(choice.classes)} given: {shown}.",
            "Without them those images cannot be counted: add each with --class.",
        )
    return ClassChoice(
        choice.classes or tuple(sorted(needed | more)),
        choice.templates or probe.templates,
        choice.class_set,
    )


def _names(connection: duckdb.DuckDBPyConnection, query: str, dataset: str) -> set[str]:
    rows = connection.execute(query, {"dataset": dataset}).fetchall()
    return {name for (name,) in rows if name is not None}


def classify_config(config: ExtractConfig, run_id: str, choice: ClassChoice) -> ClassifyConfig:
    """The classification that follows an extraction."""
    return ClassifyConfig(
        warehouse=config.warehouse,
        dataset=config.dataset,
        run=run_id,
        model=config.model,
        classes=choice.classes,
        templates=choice.templates,
        class_set=choice.class_set,
        device=config.device,
    )


def summarise_probe(
    probe: Probe, config: ExtractConfig, run_id: str, class_set: str
) -> ProbeSummary:
    """Ask the views what a classified run found."""
    where = {"dataset": config.dataset, "run_id": run_id, "class_set": class_set}
    tables = []
    with connect(config.warehouse) as connection:
        refuse_left_out(list_left_out(connection), config.dataset, run_id)
        ((class_count, is_random),) = connection.execute(
            """
            select class_sets.class_count, runs.is_random
            from class_sets
            inner join runs using (dataset, run_id)
            where dataset = $dataset and run_id = $run_id and class_set = $class_set
            """,
            where,
        ).fetchall()
        for title, query in probe.tables:
            result = connection.execute(query, where)
            names = tuple(column[0] for column in result.description or [])
            tables.append(ProbeTable(title, names, tuple(result.fetchall())))
    return ProbeSummary(run_id, class_set, class_count, is_random, tuple(tables))
