"""The emotion atlas: the answers of emotion neurons as a few parts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pipeline.evidence.atlas import Atlas, factorise, locate, name_part
from pipeline.evidence.matrix import example_ids, list_whole_layers, read_units
from pipeline.paper.draw_atlas import PLANE_PX, draw_grid, draw_plane
from pipeline.paper.section import Chart, Missing, Row, Section, Subject

FEW, MANY = 2, 7
"""Parts."""
MOST_IMAGES, MOST_NEURONS = 5_000, 120

NEURONS = f"""
select layer, unit, concept from neuron_labels
where dataset = $dataset and run_id = $run_id and is_labelled and category = 'emotion'
order by supported_count desc, layer, unit
limit {MOST_NEURONS}
"""

SHOWN = """
select distinct example_id, concept from run_concepts
where dataset = $dataset and run_id = $run_id and category = 'emotion' and origin in ('stimulus', 'texts')
order by example_id, concept
"""


Ids = np.ndarray[Any, np.dtype[np.int64]]


class _Neuron(NamedTuple):
    layer: str
    unit: int
    concept: str


class _Shown(NamedTuple):
    example_id: int
    concept: str


def make_section(subject: Subject) -> Section:
    """Neurons whose label is an emotion, and the images that show one."""
    id_, title = "emotion-atlas", "The emotion atlas"
    figure = "the atlas of emotions"
    run = subject.run
    whole = {
        one.layer: one for one in list_whole_layers(subject.ask.connection, run.dataset, run.run_id)
    }
    neurons = [one for one in subject.ask(NEURONS, _Neuron) if one.layer in whole]
    shown = subject.ask(SHOWN, _Shown)
    emotions = sorted({one.concept for one in shown})
    if min(len(neurons), len(emotions)) <= MANY:
        return Section(
            id_,
            title,
            figure,
            missing=Missing(
                f"{len(neurons)} neurons of layers that keep their activations are labelled with an emotion, "
                f"and images show {len(emotions)} emotions: {MANY} parts need more.",
                (
                    "neurons stimuli words --dataset words",
                    "neurons stimuli pictures --dataset pictures",
                ),
            ),
        )
    neurons.sort(key=lambda one: one.layer)
    ids = _choose_images(subject, {one.example_id for one in shown})
    answers = np.concatenate(
        [
            read_units(
                subject.ask.connection,
                whole[name],
                ids,
                [n.unit for n in neurons if n.layer == name],
            )
            for name in sorted({one.layer for one in neurons})
        ]
    ).T.astype(np.float64)
    scales = answers.std(axis=0)
    answers /= np.where(scales > 0, scales, 1)
    shows = {
        emotion: np.isin(ids, [one.example_id for one in shown if one.concept == emotion])
        for emotion in emotions
    }
    shows = {emotion: here for emotion, here in shows.items() if here.any()}
    few, many = (factorise(answers, count) for count in (FEW, MANY))
    names = [one.concept for one in neurons]
    count = f"{len(ids):,} images, {len(neurons)} neurons"
    return Section(
        id_,
        title,
        figure,
        told=(
            f"The answers of the {len(neurons)} neurons of {run.model_id} that are labelled with an emotion, "
            f"to the images that show one of {len(shows)}: in SD, below zero as zero, written as a sum of "
            "non-negative parts (NMF). A part is some neurons that answer together; an emotion lies where its "
            "images lie on average. The control permutes each neuron's answers over the images: what is "
            "explained beyond it, neurons share.",
        ),
        rows=[
            *(
                Row(
                    f"answers explained by {parts} parts",
                    "",
                    f"{atlas.explained_frac:.1%}",
                    count,
                    "",
                    f"permuted {atlas.permuted_frac:.1%}",
                )
                for parts, atlas in ((FEW, few), (MANY, many))
            ),
        ],
        parts=[
            Chart(
                "Emotions in two parts: how much of each is in their images, in SD.",
                "; ".join(f"{e} {x:.1f}, {y:.1f}" for e, (x, y) in locate(few, shows).items()),
                draw_plane(locate(few, shows), _heads(few, names)),
                PLANE_PX,
            ),
            Chart(
                "Emotions in seven parts: the darker, the more of a part is in their images. Parts by the "
                "neurons that weigh most: "
                + "; ".join(f"{chr(65 + n)} {head}" for n, head in enumerate(_heads(many, names)))
                + ".",
                "Each emotion with its largest part: "
                + "; ".join(
                    f"{e} {chr(65 + int(np.argmax(at)))}" for e, at in locate(many, shows).items()
                ),
                *draw_grid(locate(many, shows)),
            ),
        ],
        sql=(NEURONS, SHOWN),
    )


def _choose_images(subject: Subject, emotional: set[int]) -> Ids:
    """Images that show an emotion, int64 ``[N]``, ascending; of too many, the first."""
    every = example_ids(subject.ask.connection, subject.run.dataset, subject.run.run_id)
    return np.intersect1d(every, np.array(sorted(emotional), dtype=np.int64))[:MOST_IMAGES]


def _heads(atlas: Atlas, names: list[str]) -> list[str]:
    return [name_part(part, names) for part in atlas.parts]
