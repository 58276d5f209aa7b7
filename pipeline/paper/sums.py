"""Emotions as sparse sums of neurons: the paper's equations, and those that a run's images give."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.base.errors import WarehouseError
from pipeline.base.question_settings import SumQuestion
from pipeline.paper.section import Missing, Row, Section, Subject
from pipeline.search.sum import SumAnswer, find_sum_in

PUBLISHED = {
    "jealous": "success + grumpy",
    "bored": "relaxed + grumpy",
    "intimate": "soft smile + heart − sick",
    "interested": "question mark + heart",
    "inquisitive": "question mark + shocked",
    "surprised": "celebration + shocked",
}
"""The paper's equations, of text embeddings of emotion words."""

NEURONS = 3
MOST = 2
"""Emotions; each takes some seconds."""

EMOTIONS = f"""
select concept, count(distinct example_id) as image_count
from run_concepts
where
    dataset = $dataset and run_id = $run_id and category = 'emotion' and origin in ('texts', 'stimulus')
group by concept
having
    count(distinct example_id) filter (where half = 'screening') >= 5
    and count(distinct example_id) filter (where half = 'testing') >= 5
order by image_count desc, concept
limit {MOST}
"""


class _Emotion(NamedTuple):
    concept: str
    image_count: int


def make_section(subject: Subject) -> Section:
    """The emotions that most images of a run show, as sums of three neurons."""
    id_, title = "emotion-sums", "Emotions as sums of few neurons"
    figure = "the equations of emotions"
    published = [
        Row(f"“{emotion}”", equation, "", "", "", "") for emotion, equation in PUBLISHED.items()
    ]
    found = [
        (emotion, answer)
        for emotion in subject.ask(EMOTIONS, _Emotion)
        if (answer := _find(subject, emotion.concept)) is not None
    ]
    if not found:
        return Section(
            id_,
            title,
            figure,
            rows=published,
            missing=Missing(
                "Fewer than five images of each half show an emotion, by their texts or by construction, or "
                "the layer keeps no activations.",
                (
                    "neurons stimuli words --dataset words",
                    "neurons stimuli pictures --dataset pictures",
                ),
            ),
        )
    return Section(
        id_,
        title,
        figure,
        told=(
            "The paper writes the text embedding of an emotion word as a sparse sum of image neurons, and "
            "names the neurons by hand. Here images that show an emotion are told from all others by a sum of "
            f"{NEURONS} neurons of this run (logistic regression with an L1 penalty, fitted on one half of the "
            "images, measured on the other). Other emotions by another method: the equations stand beside each "
            "other to be read, not to be compared. The control is the best single neuron; 0.5 is chance.",
        ),
        rows=[*(_row(emotion, answer) for emotion, answer in found), *published],
        sql=(EMOTIONS,),
    )


def _find(subject: Subject, concept: str) -> SumAnswer | None:
    question = SumQuestion(
        concept=concept,
        warehouse="",
        neurons=NEURONS,
        dataset=subject.run.dataset,
        run=subject.run.run_id,
    )
    try:
        return find_sum_in(subject.ask.connection, question)
    except WarehouseError:  # too few images of it, or no layer that is whole
        return None


def _row(emotion: _Emotion, answer: SumAnswer) -> Row:
    found = answer.found
    terms = [
        f"{'−' if weight < 0 else '+' if place else ''}{abs(weight):.2f} × "
        f"{label or 'unlabelled'} [{unit}]"
        for place, (_, unit, weight, _, label) in enumerate(answer.table.rows)
    ]
    return Row(
        f"{emotion.concept} = {' '.join(terms)}",
        "",
        f"AUROC {found.auroc:.3f}",
        f"{found.testing_positive_count} images with it, "
        f"{found.testing_count - found.testing_positive_count:,} without",
        "",
        f"best single neuron {found.best.auroc:.3f}",
    )
