"""Steps as whole processes that kill themselves at the n-th sync or rename."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.dying import die_at
from pipeline.base.effect_settings import AblationConfig, EffectConfig
from pipeline.base.settings import (
    ExtractConfig,
    IngestConfig,
    IngestStep,
    LabelSettings,
    SimilarityConfig,
)
from pipeline.base.storage import Store
from pipeline.effects.ablate import measure_ablations
from pipeline.effects.run import measure_effects
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


def _measured(place: Path) -> dict[str, Any]:
    """Where a measurement is made."""
    (found,) = place.glob("dataset=textures/run_id=*")
    where = {"warehouse": str(place), "dataset": "textures", "run": found.name[7:]}
    return where | {"layer": "visual.layer3.0", "device": "cpu"}


def do_effect(place: Path) -> None:
    """Four blocks of neurons, each of two files."""
    few = {"units": (0, 9, 64, 133, 134, 201), "hidden": 1, "shown": 1, "levels": (0.0, 2.0)}
    measure_effects(EffectConfig(**_measured(place) | {"layer": "goh2021"} | few))


def do_ablate(place: Path) -> None:
    tried = {"counts": (1, 4), "draws": 2, "images": 2}
    measure_ablations(AblationConfig(**_measured(place), **tried))


STEPS: dict[str, Callable[[Path], Any]] = {
    "ingest": do_ingest,
    "build": lambda place: build(place, LabelSettings(label_null_repeats=1)),
    "compact": lambda place: compact(str(place)),
    "similarity": do_similarity,
    "extract": do_extract,
    "effect": do_effect,
    "ablate": do_ablate,
}


def work(step: str, place: Path, kill_at: int) -> None:
    """A step, in a process of its own; 0 never kills."""
    die_at(kill_at, "replace", "fsync")
    STEPS[step](place)
