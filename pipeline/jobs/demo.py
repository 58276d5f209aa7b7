"""The embedded default: controlled stimuli through nano, whose planted neurons must be found again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.base.settings import (
    ClassChoice,
    ExtractConfig,
    IngestConfig,
    LabelSettings,
    SimilarityConfig,
)
from pipeline.base.steps import Step, Worker
from pipeline.base.storage import Store
from pipeline.jobs.demo_sheets import DemoNeuron, attack_sheet, forms_sheet
from pipeline.jobs.job import JobSummary, do_build, do_check, do_extract, do_similarity
from pipeline.nano.planted import BOTH_FACETS, PlantedNeuron, load_planted
from pipeline.probes.attack import ATTACK
from pipeline.probes.probe import run_probe
from pipeline.probes.stroop import STROOP
from pipeline.report.contact_sheet import save_sheet
from pipeline.sources.ingest import ingest_items
from pipeline.sources.writer import SourceExample
from pipeline.stimuli.fonts import Font, find_fonts
from pipeline.stimuli.pictures import FORMS, PictureOptions, iter_pictures, open_picture
from pipeline.stimuli.stroop import iter_stroop
from pipeline.stimuli.typographic import Attack, BaseImage, iter_typographic
from pipeline.stimuli.words import WordOptions, concept_words, iter_words
from pipeline.upkeep.check import CheckResult
from pipeline.warehouse.connect import connect

DATASET, ATTACK_DATASET, STROOP_DATASET = "demo", "demo-attack", "demo-stroop"
MODEL = "nano"
LAYER = "goh2021"
FONTS = ("Caladea-Bold", "Manrope-Medium", "SourceSerifPro-Semibold", "FredokaOne-Regular")
"""Fonts that nano never saw."""
_FONT_PACKAGES = ("font_caladea", "font_manrope", "font_source_serif_pro", "font_fredoka_one")
SHOWN = ("Japan", "Brazil", "guitar", "rabbit", "love", "elephant")
"""Planted neurons of the picture."""
ATTACK_TEXTS = ("pizza", "elephant", "Japan")
ATTACKED = ("object", "nature", "place")
"""Categories of the pictures under attack: those that nano knows well in this style."""
PROMPTS = ("{}", "a picture of {}", "an image of {}", "a drawing of {}")
"""Sentences that nano learned."""
ATTACKED_COUNT = 40
DEMO_LABELS = LabelSettings(facet_min_count=1)
"""A concept has one drawing in most forms, and it is in one of the halves."""

FIRST_LINE = (
    "The demo's model is nano, a small CLIP of this project. Some of its neurons were TRAINED to stand "
    "for a concept (pipeline/nano/planted.csv); the pipeline is not told which, and finds them again."
)


_STRONGEST = """
    with

    forms as (
        select
            stimuli.dataset,
            stimuli.example_id,
            stimuli.concept,
            coalesce('word, ' || stimuli.language, stimuli.facet) as form,
        from stimuli
        where stimuli.dataset = $dataset
    ),

    strongest as (
        select activations.unit, forms.form, forms.concept,
        from activations
        inner join forms using (dataset, example_id)
        where activations.run_id = $run_id
        qualify
            row_number() over (
                partition by activations.unit, forms.form
                order by activations.activation desc, activations.example_id
            ) = 1
    )

    select strongest.unit, shown.concept, strongest.concept = shown.concept as is_right,
    from strongest
    inner join (select distinct forms.form, forms.concept from forms) as shown using (form)
"""


@dataclass
class DemoSummary:
    """What the demo made and found."""

    warehouse: str
    job: JobSummary
    neurons: list[DemoNeuron] = field(default_factory=list)
    planted_count: int = 0
    """Neurons planted for a concept as picture and as word."""
    right_count: int = 0
    """Of these, labelled with that very concept."""
    every_form_count: int = 0
    """Of these, those whose strongest image is the right one in every form that the data show."""
    asserted_count: int = 0
    asserted_right_count: int = 0
    tables: list[tuple[str, tuple[str, ...], list[tuple[Any, ...]]]] = field(default_factory=list)
    """Attack and Stroop: title, columns, rows."""
    sheets: list[str] = field(default_factory=list)

    @property
    def checks(self) -> list[CheckResult]:
        """What the checks found."""
        return self.job.checks


def iter_demo() -> Iterator[SourceExample]:
    """OpenMoji in its own style, as lines, edge maps and silhouettes; and the concepts' words."""
    fonts = WordOptions(_FONT_PACKAGES, FONTS, fonts_per_word=len(FONTS))
    return chain(
        iter_pictures(PictureOptions(("openmoji", "openmoji-black"), FORMS)),
        iter_words(concept_words(), fonts),
    )


def iter_attacked() -> Iterator[BaseImage]:
    """Some of the drawings, to write on."""
    found = [
        item
        for item in iter_pictures(PictureOptions(categories=ATTACKED))
        if item.stimulus is not None
    ]
    for item in found[:: max(1, len(found) // ATTACKED_COUNT)][:ATTACKED_COUNT]:
        stimulus = item.stimulus or {}
        yield BaseImage(
            key=item.key,
            image=partial(open_picture, item),
            concept=str(stimulus["concept"]),
            category=str(stimulus["category"]),
            facet=str(stimulus["facet"]),
            texts=item.texts,
            url=item.url,
        )


def demo_fonts() -> tuple[Font, ...]:
    """The fonts of the demo."""
    return tuple(font for font in find_fonts(_FONT_PACKAGES) if font.name in FONTS)


def run_demo(warehouse: str, worker: Worker) -> DemoSummary:
    """Make stimuli, run nano over them, label its neurons, and run the two tests on written words.

    The steps are those of any job; what is the demo's own is what it makes and what it tells.

    Raises:
        NeuronsError: A step could not be done.
    """
    job = JobSummary()
    summary = DemoSummary(warehouse, job)
    fonts = demo_fonts()
    sources: dict[str, Iterator[SourceExample]] = {
        DATASET: iter_demo(),
        ATTACK_DATASET: iter_typographic(
            iter_attacked(), [Attack(text) for text in ATTACK_TEXTS], fonts[0]
        ),
        STROOP_DATASET: iter_stroop(fonts),
    }
    for dataset, items in sources.items():
        limits = IngestConfig(warehouse, dataset, shard_size=500)
        work = partial(ingest_items, limits, "stimuli", items)
        done = worker.do(Step("make stimuli", f"Shards of {dataset}", work))
        job.lines.append(
            f"stimuli  {dataset}: {done.shard_count} shards, {done.written_count} images, "
            f"{done.rejected_count} rejected, {done.duplicate_count} repeated images"
        )
    run_id = do_extract(job, worker, _extraction(warehouse, DATASET))
    for probe, dataset in ((ATTACK, ATTACK_DATASET), (STROOP, STROOP_DATASET)):
        found = run_probe(
            probe, _extraction(warehouse, dataset), ClassChoice(templates=PROMPTS), worker
        )
        job.run_ids.append(found.run_id)
        table = found.tables[0]
        summary.tables.append((table.title, table.columns, list(table.rows)))
    reading = SimilarityConfig(warehouse, DATASET, run_id, templates=PROMPTS, device="cpu")
    do_similarity(job, worker, reading)
    do_build(job, worker, warehouse, DEMO_LABELS)
    do_check(job, worker, warehouse, tells_warnings=False)
    _compare(summary)
    _draw(summary)
    return summary


def _extraction(warehouse: str, dataset: str) -> ExtractConfig:
    return ExtractConfig(warehouse, dataset, MODEL, (LAYER,), device="cpu")


def _compare(summary: DemoSummary) -> None:
    """Set the labels that the pipeline found beside the list of what was planted."""
    with connect(summary.warehouse) as connection:
        rows = connection.execute(
            """
            select unit, concept, category, q_value, score, agreement, is_labelled
            from neuron_labels
            where dataset = $dataset and run_id = $run_id
            order by q_value, unit
            """,
            {"dataset": DATASET, "run_id": summary.job.run_ids[0]},
        ).fetchall()
        strongest = connection.execute(
            _STRONGEST, {"dataset": DATASET, "run_id": summary.job.run_ids[0]}
        ).fetchall()
    labels = {row[0]: row for row in rows}
    both = [p for p in load_planted() if p.scope == "concept" and p.facets == BOTH_FACETS]
    summary.planted_count = len(both)
    wrong = {(unit, concept) for unit, concept, is_right in strongest if not is_right}
    summary.every_form_count = sum((p.channel, p.concept) not in wrong for p in both)
    for planted in both:
        is_right = labels[planted.channel][1] == planted.concept and labels[planted.channel][6]
        summary.right_count += is_right
        summary.asserted_count += planted.is_asserted
        summary.asserted_right_count += is_right and planted.is_asserted
    shown = [p for name in SHOWN for p in both if p.concept == name]
    supervised = {p.channel for p in load_planted()}
    # One that several methods agree on: a label of one method alone says little.
    found = sorted((r for r in rows if r[0] not in supervised and r[6]), key=lambda r: -r[5])
    free = next(iter(found), None)
    summary.neurons = [_neuron(labels[p.channel], p) for p in shown]
    if free is not None:
        summary.neurons.append(_neuron(free, None))


def _neuron(row: tuple[Any, ...], planted: PlantedNeuron | None) -> DemoNeuron:
    unit, concept, category, q_value, score, agreement, is_labelled = row
    return DemoNeuron(
        unit,
        planted.concept if planted else None,
        concept if is_labelled else None,
        category if is_labelled else None,
        q_value,
        score,
        agreement,
    )


def _draw(summary: DemoSummary) -> None:
    store = Store(summary.warehouse)
    with connect(summary.warehouse) as connection:
        run = {"dataset": DATASET, "run_id": summary.job.run_ids[0]}
        attack = {"dataset": ATTACK_DATASET, "run_id": summary.job.run_ids[1]}
        sheets = {
            "demo-neurons.png": forms_sheet(connection, store, run, summary.neurons),
            "demo-attack.png": attack_sheet(connection, store, attack),
        }
    for name, sheet in sheets.items():
        is_folder = Path(summary.warehouse).is_dir()
        place = f"{summary.warehouse}/{name}" if is_folder else name
        save_sheet(sheet, place)
        summary.sheets.append(place)
