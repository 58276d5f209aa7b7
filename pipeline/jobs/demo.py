"""The embedded default: controlled stimuli through nano, whose planted neurons must be found again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.base.job_file import load_config
from pipeline.base.steps import Worker
from pipeline.base.storage import Store
from pipeline.jobs.demo_sheets import DemoNeuron, attack_sheet, forms_sheet
from pipeline.jobs.job import JobSummary, run_job
from pipeline.nano.planted import BOTH_FACETS, PlantedNeuron, load_planted
from pipeline.report.contact_sheet import save_sheet
from pipeline.upkeep.check_views import CheckResult
from pipeline.warehouse.connect import connect

JOB_FILE = Path(__file__).with_name("demo.toml")
"""The job; what else is here says and draws what it found."""
SHOWN = ("Japan", "Brazil", "guitar", "rabbit", "love", "elephant")
"""Planted neurons of the picture."""

_TOLD = ("stimuli", "extract", "similar", "build", "check")
"""Steps that the demo tells of."""

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


_SUPPORT = """
    select supported_count, max(measured_count), count(*)
    from neuron_labels
    where dataset = $dataset and run_id = $run_id and is_labelled
    group by supported_count
    order by supported_count desc
"""


@dataclass
class DemoSummary:
    """What the demo made and found."""

    warehouse: str
    dataset: str
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
    support: list[tuple[int, int, int]] = field(default_factory=list)
    """How many scores support a label, of how many, and how many labels; most first."""
    sheets: list[str] = field(default_factory=list)

    @property
    def run(self) -> dict[str, str]:
        """The run that labels are of, as queries are told."""
        return {"dataset": self.dataset, "run_id": self.job.run_ids[0]}

    @property
    def lines(self) -> list[str]:
        """What the steps did. Tests on words have their tables, and what is planted is told by itself."""
        return [str(replace(one, aside="")) for one in self.job.told if one.step in _TOLD]

    @property
    def checks(self) -> list[CheckResult]:
        """What the checks found."""
        return self.job.checks


def run_demo(warehouse: str, worker: Worker) -> DemoSummary:
    """Walk the steps of the demo's job, and look for the neurons that were planted.

    Raises:
        NeuronsError: A step could not be done.
    """
    job = load_config(JOB_FILE, warehouse)
    summary = DemoSummary(warehouse, job.dataset, run_job(job, worker))
    for found in summary.job.probes:
        table = found.tables[0]
        summary.tables.append((table.title, table.columns, list(table.rows)))
    _compare(summary)
    _draw(summary, job.attack[0].extract.dataset)
    return summary


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
            summary.run,
        ).fetchall()
        strongest = connection.execute(_STRONGEST, summary.run).fetchall()
        summary.support = connection.execute(_SUPPORT, summary.run).fetchall()
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


def _draw(summary: DemoSummary, attack_dataset: str) -> None:
    store = Store(summary.warehouse)
    with connect(summary.warehouse) as connection:
        attack = {"dataset": attack_dataset, "run_id": summary.job.probes[0].run_id}
        sheets = {
            "demo-neurons.png": forms_sheet(connection, store, summary.run, summary.neurons),
            "demo-attack.png": attack_sheet(connection, store, attack),
        }
    for name, sheet in sheets.items():
        is_folder = Path(summary.warehouse).is_dir()
        place = f"{summary.warehouse}/{name}" if is_folder else name
        save_sheet(sheet, place)
        summary.sheets.append(place)
