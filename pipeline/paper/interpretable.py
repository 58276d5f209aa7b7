"""The share of interpretable neurons: what a person says of a random sample, blind."""

from __future__ import annotations

from pipeline.labelling.sample import NONE, Judged
from pipeline.paper.queries import spell_out
from pipeline.paper.section import (
    Missing,
    Row,
    Section,
    Subject,
    Table,
    tell_percent,
    tell_share,
)

PUBLISHED = "76% of 50, interval 64–88%"

LABELS = """
select unit, concept, category
from neuron_labels
where dataset = $dataset and run_id = $run_id and layer = $layer
"""


def make_section(subject: Subject) -> Section:
    """Answers of a person to a sheet of `pipeline.labelling.sample`."""
    id_, title = "interpretable", "Share of interpretable neurons"
    figure = "the share of interpretable neurons in a random sample"
    what = "neurons whose strongest images have something in common"
    judged = subject.judged
    if judged is None:
        sample = f"--dataset {subject.run.dataset}"
        return Section(
            id_,
            title,
            figure,
            rows=[Row(what, PUBLISHED, "", "", "", "")],
            missing=Missing(
                "Nobody has judged a sample of its neurons. A sheet holds the strongest images of 50 neurons, "
                "drawn at random, among sets of images that belong to none; a person fills it in a browser.",
                (
                    f"neurons label sample {sample} --out sample",
                    f"neurons paper {sample} --judged sample --out paper.html",
                ),
            ),
        )
    where = {**subject.ask.where, "layer": judged.key["layer"]}
    labels = {
        unit: f"{concept} ({category})"
        for unit, concept, category in subject.ask.connection.execute(LABELS, where).fetchall()
        if concept is not None
    }
    seen = sum(answer != NONE for answer in judged.answers.values())
    labelled = sum(unit in labels for unit in judged.answers)
    count, drawn = len(judged.answers), sum("unit" in item for item in judged.key["items"])
    return Section(
        id_,
        title,
        figure,
        told=(
            f"{drawn} neurons of {judged.key['layer']} were drawn at random (seed {judged.key['seed']}), and a "
            f"person who was told neither label nor strength said what the {judged.key['images']} strongest "
            "images of each have in common. The control is sets of images drawn at random, which stood among "
            "them.",
        ),
        rows=[
            Row(
                what,
                PUBLISHED,
                tell_share(seen, count),
                f"{count} answered of {drawn} drawn",
                subject.interval(seen, count),
                _tell_shams(subject, judged),
            ),
            Row(
                "the same neurons, labelled by our tests",
                "",
                tell_share(labelled, count),
                f"{count} neurons",
                subject.interval(labelled, count),
                "",
            ),
        ],
        parts=[
            Table(
                "What was said",
                ("unit", "a person", "our label"),
                [
                    (unit, answer, labels.get(unit, "none"))
                    for unit, answer in sorted(judged.answers.items())
                ],
                is_folded=True,
            )
        ],
        sql=(spell_out(LABELS, where),),
    )


def _tell_shams(subject: Subject, judged: Judged) -> str:
    count = len(judged.sham_answers)
    if not count:
        return "no set at random was judged"
    seen = sum(answer != NONE for answer in judged.sham_answers)
    return (
        f"sets at random {seen} of {count} ({tell_percent(seen / count)}, "
        f"{subject.interval(seen, count)})"
    )
