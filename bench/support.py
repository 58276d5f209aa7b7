"""What support is worth: of labels of nano's planted neurons, the share that is the planted concept.

Stimuli of all concepts are made anew with each seed: words in fonts, inks, sizes, turns and places that it
draws, and OpenMoji's drawings with one of two derived forms. Nobody has looked at them. They are extracted and
labelled, all six scores of ``label_evidence`` are measured, and labels are counted by ``supported_count``.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from bench.timing import Report, Row
from pipeline.base.effect_settings import EffectChoice
from pipeline.base.job_file import load_config
from pipeline.base.job_settings import PipelineConfig
from pipeline.base.settings import LabelSettings
from pipeline.base.steps import Here
from pipeline.base.stimulus_settings import PictureOptions, WordOptions
from pipeline.base.support_settings import SupportChoice
from pipeline.jobs.demo import JOB_FILE
from pipeline.jobs.job import run_job
from pipeline.nano.planted import BOTH_FACETS, load_planted
from pipeline.support.fresh import INKS, PAPERS
from pipeline.warehouse.connect import connect

SEEDS = (101, 102)
FORMS = ("drawing", "edge map", "silhouette")

Counts = Counter[tuple[int, bool]]
"""By how many scores support a label, and whether it is the planted concept."""


def make_job(warehouse: str, seed: int, quick: bool) -> PipelineConfig:
    """The demo's job without its tests on words, on other stimuli, with effects and support."""
    job = load_config(JOB_FILE, warehouse)
    rng = random.Random(seed)
    few = {"categories": ("animal",)} if quick else {}
    pictures = PictureOptions(
        sets=("openmoji", "openmoji-black"),
        forms=("drawing", *rng.sample(FORMS[1:], 1)),
        **few,
    )
    words = replace(
        job.stimuli[0].words or WordOptions(),
        font_names=(),
        fonts_per_word=1 if quick else 3,
        placement="anywhere",
        inks=INKS,
        papers=PAPERS,
        rotation_deg=15.0,
        seed=seed,
    )
    planted = tuple(p.channel for p in load_planted() if _is_both(p.scope, p.facets))
    effect = EffectChoice(
        units=planted[:8] if quick else planted, hidden=4 if quick else 8, shown=2, device="cpu"
    )
    return replace(
        job,
        stimuli=(replace(job.stimuli[0], pictures=pictures, words=words),),
        similarity=not quick,
        attack=(),
        stroop=(),
        labels=LabelSettings(label_null_repeats=0, facet_min_count=1),
        effect=effect,
        support=SupportChoice(images=1 if quick else 4, seed=seed, device="cpu"),
    )


def count_right(seed: int, quick: bool) -> Counts:
    """Make, label and measure; count the planted neurons that have a label."""
    counts: Counts = Counter()
    planted = {p.channel: p.concept for p in load_planted() if _is_both(p.scope, p.facets)}
    with tempfile.TemporaryDirectory() as place:
        warehouse = str(Path(place) / "warehouse")
        run_job(make_job(warehouse, seed, quick), Here())
        with connect(warehouse) as connection:
            for unit, concept, count in connection.execute(
                "select unit, concept, supported_count from label_evidence"
            ).fetchall():
                if unit in planted:
                    counts[count, planted[unit] == concept] += 1
    return counts


def _is_both(scope: str, facets: str) -> bool:
    return scope == "concept" and facets == BOTH_FACETS


def report(quick: bool) -> Report:
    """By support, how many labels of planted neurons there are, and the share that is right."""
    seeds = SEEDS[:1] if quick else SEEDS
    yield f"support: labels of planted neurons on stimuli of seeds {', '.join(map(str, seeds))}"
    counts: Counts = Counter()
    for seed in seeds:
        counts += count_right(seed, quick)
    for level in range(7):
        right, wrong = counts[level, True], counts[level, False]
        if right + wrong:
            what = f"supported by {level}: share that is the planted concept"
            yield Row(what, right / (right + wrong), "", note=f"{right} of {right + wrong}")
