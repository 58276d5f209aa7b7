"""Steps as whole processes that kill themselves at the n-th sync or rename."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.dying import die_at
from pipeline.base.settings import (
    ExtractConfig,
    IngestConfig,
    IngestStep,
    LabelSettings,
    SimilarityConfig,
)
from pipeline.base.storage import Store
from pipeline.evidence import classify, concept_scores  # noqa: F401 (what a step imports late)
from pipeline.evidence.similarity import score_similarity
from pipeline.extract import run
from pipeline.sources import writer  # noqa: F401
from pipeline.sources.copies import duplicates  # noqa: F401
from pipeline.sources.ingest import ingest
from pipeline.sources.layouts import folder  # noqa: F401
from pipeline.upkeep.build import build
from pipeline.upkeep.compact import compact


def do_ingest(place: Path) -> None:
    step = IngestStep("folder", (str(place.parent / "in"),))
    ingest(IngestConfig(str(place), "d", shard_size=2), step)


def do_similarity(place: Path) -> None:
    (found,) = place.glob("dataset=textures/run_id=*")
    run_id = found.name.removeprefix("run_id=")
    score_similarity(SimilarityConfig(str(place), "textures", run_id, templates=("{}",)))


def do_extract(place: Path) -> None:
    (found,) = place.glob("dataset=textures/run_id=*")
    record = Store(place).read_json(f"{found.relative_to(place)}/run.json")
    config = record["config"] | {"warehouse": str(place), "run": record["run_id"]}
    run.extract(ExtractConfig(**config | {"layers": tuple(config["layers"])}))


STEPS: dict[str, Callable[[Path], Any]] = {
    "ingest": do_ingest,
    "build": lambda place: build(place, LabelSettings(label_null_repeats=1)),
    "compact": lambda place: compact(str(place)),
    "similarity": do_similarity,
    "extract": do_extract,
}


def work(step: str, place: Path, kill_at: int) -> None:
    """A step, in a process of its own; 0 never kills."""
    die_at(kill_at, "replace", "fsync")
    STEPS[step](place)
