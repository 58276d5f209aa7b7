"""The neurons that the paper names: its name for each beside our label, in a run of its model."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pipeline.paper.section import PAPER_MODEL, Missing, Row, Section, Subject, Table
from pipeline.report.support_words import say_count

SOURCE = "github.com/distillpub/post--multimodal"
"""The paper's public source; ``named_neurons.csv`` says which file of it names a unit. Units are channels of
``image_block_4/5/Add_6`` of RN50x4 in OpenAI's Microscope: what goes into the last block's ReLU."""
LAYER = "visual.layer4.5.act3:input:max"
"""The same place by our name; the preset goh2021."""

SQL = f"""
select
    unit, concept, category, score, q_value, supported_count, measured_count, reason,
from neuron_labels
where dataset = $dataset and run_id = $run_id and layer = '{LAYER}'
order by unit
"""

WORDS = f"""
select unit, words
from geographic_words
where dataset = $dataset and run_id = $run_id and layer = '{LAYER}'
qualify rank() over (partition by unit order by language <> 'en', language) = 1
"""


class NamedUnit(NamedTuple):
    """A neuron of RN50x4 and what the paper calls it."""

    unit: int
    name: str
    family: str
    source: str
    """Which file of `SOURCE` says so."""


class _Label(NamedTuple):
    unit: int
    concept: str | None
    category: str | None
    score: float | None
    q_value: float | None
    supported_count: int | None
    measured_count: int | None
    reason: str | None


@cache
def load_named() -> tuple[NamedUnit, ...]:
    """All of them, by unit."""
    path = Path(__file__).with_name("named_neurons.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(
            NamedUnit(int(row["unit"]), row["name"], row["family"], row["source"])
            for row in csv.DictReader(file)
        )


def make_section(subject: Subject) -> Section:
    """A row for each named neuron, if the run is of the paper's model and has its layer."""
    named = load_named()
    id_, title = "named-neurons", "The neurons that the paper names"
    figure = f"its text and the figure of neuron families; names and numbers from {SOURCE}"
    families = len({one.family for one in named})
    what = "neurons of RN50x4 with a name"
    published = f"{len(named)} in {families} families"
    if not subject.is_papers_model:
        return Section(
            id_,
            title,
            figure,
            rows=[Row(what, published, "", "", "", "")],
            parts=[_names(named)],
            missing=Missing(
                f"It is a run of {subject.run.model_id}, whose units are other neurons. The weights of "
                f"{PAPER_MODEL} are downloaded once, or read from a file: --model {PAPER_MODEL}@/path/to/file.",
                (
                    f"neurons extract --dataset {subject.run.dataset} --model {PAPER_MODEL} --layer goh2021",
                    "neurons build",
                    f"neurons paper --dataset {subject.run.dataset} --out paper.html",
                ),
            ),
        )
    labels = {label.unit: label for label in subject.ask(SQL, _Label)}
    if not labels:
        return Section(
            id_,
            title,
            figure,
            rows=[Row(what, published, "", "", "", "")],
            parts=[_names(named)],
            missing=Missing(
                f"It does not read {LAYER}, or its labels were not computed.",
                (
                    f"neurons extract --dataset {subject.run.dataset} --model {PAPER_MODEL} --layer goh2021",
                    "neurons build",
                ),
            ),
        )
    words = dict(subject.ask.connection.execute(WORDS, subject.ask.where).fetchall())
    labelled = sum(labels[one.unit].concept is not None for one in named if one.unit in labels)
    return Section(
        id_,
        title,
        figure,
        told=(
            "Our labels are of this run's images and our concepts; that a label says the same as the paper's "
            "name is for the reader to judge, and a neuron without a label has no concept of ours that this "
            "run's images show often enough.",
        ),
        rows=[
            Row(
                f"{what}, and with a label of ours",
                published,
                f"{labelled} of {len(named)}",
                f"{len(labels):,} neurons of the layer",
                "",
                "labelled of all neurons "
                f"{sum(label.concept is not None for label in labels.values()) / len(labels):.0%}",
            )
        ],
        parts=[
            Table(
                "The paper's name, our label, and what speaks for it",
                (
                    "unit",
                    "in the paper",
                    "family",
                    "our label",
                    "AUROC",
                    "q",
                    "support",
                    "five top words",
                ),
                [_line(one, labels.get(one.unit), words.get(one.unit)) for one in named],
            )
        ],
        sql=(SQL, WORDS),
    )


def _line(
    one: NamedUnit, label: _Label | None, words: str | None
) -> tuple[str | int | float | None, ...]:
    head = (one.unit, one.name, one.family)
    if label is None:
        return (*head, "not in the run", None, None, "", words or "")
    if label.concept is None:
        return (*head, f"none: {label.reason}", None, None, "", words or "")
    support = say_count(label.supported_count, label.measured_count)
    told = f"{label.concept} ({label.category})"
    return (*head, told, label.score, label.q_value, support, words or "")


def _names(named: tuple[NamedUnit, ...]) -> Table:
    return Table(
        "The names, by unit",
        ("unit of RN50x4", "in the paper", "family", "said in"),
        named,
        is_folded=True,
    )
