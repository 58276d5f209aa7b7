"""Sparse probes: a class as three neurons, beside one neuron and all of them."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from pipeline.evidence.matrix import RunLayer, iter_blocks, list_whole_layers
from pipeline.evidence.sparse_probes import Probed, SparseProbes, probe_classes
from pipeline.paper.queries import find_interval
from pipeline.paper.section import (
    Missing,
    Row,
    Section,
    Subject,
    Table,
    tell_interval,
    tell_share,
)

NEURONS = 3
MOST_IMAGES, MOST_CLASSES, LEAST_IMAGES = 8_000, 200, 4
"""How many images and classes are probed at most; and how many images a class has in each half at least."""

CLASSES = f"""
with
-- One class an image: by its making, or else by the labels and texts of its dataset.
shown as (
    select example_id, concept, category, half
    from run_concepts
    inner join stg_distinct_images using (dataset, run_id, example_id)
    where dataset = $dataset and run_id = $run_id
        and origin = (
            select min(origin) from run_concepts
            where dataset = $dataset and run_id = $run_id and origin in ('stimulus', 'texts')
        )
),
kept as (
    select concept, category from shown
    group by concept, category
    having count(*) filter (where half = 'screening') >= {LEAST_IMAGES}
        and count(*) filter (where half = 'testing') >= {LEAST_IMAGES}
    order by count(*) desc, concept, category
    limit {MOST_CLASSES}
)
select example_id, any_value(concept) as concept, any_value(half) as half,
from shown
inner join kept using (concept, category)
group by example_id
having count(*) = 1
order by md5(example_id::varchar), example_id
limit {MOST_IMAGES}
"""


class _Image(NamedTuple):
    example_id: int
    concept: str
    half: str


def make_section(subject: Subject) -> Section:
    """Probes of the last layer of the image tower, fitted to one half, asked about the other."""
    id_, title = "sparse-probes", "A class as three neurons"
    figure = "the sparse linear probes of ImageNet's classes"
    published = "56.4%"
    run = subject.run
    layers = [
        one
        for one in list_whole_layers(subject.ask.connection, run.dataset, run.run_id)
        if one.tower == "visual"
    ]
    images = subject.ask(CLASSES, _Image) if layers else []
    fitted, tested = (
        {image.concept for image in images if image.half == half}
        for half in ("screening", "testing")
    )
    names = sorted(fitted & tested)
    if len(names) < 6:
        return Section(
            id_,
            title,
            figure,
            rows=[Row("class among the five that score highest", published, "", "", "", "")],
            missing=Missing(
                f"{len(names)} classes have {LEAST_IMAGES} images in each half, or no layer of the image tower "
                "keeps its activations: top five needs six classes.",
                (f"neurons extract --dataset {run.dataset} --model {run.model_id} --store all",),
            ),
        )
    images = [image for image in images if image.concept in names]
    layer = max(layers, key=lambda one: [int(n) for n in re.findall(r"\d+", one.layer)])
    probes, test_count = _probe(subject, layer, images, names)
    one, few, every, few_shuffled, all_shuffled = probes.probed

    def row(what: str, count: str, found: Probed, chance: Probed | None, said: str = "") -> Row:
        hits = getattr(found, count)
        interval = find_interval(subject.ask.connection, hits, test_count)
        control = f"shuffled {getattr(chance, count) / test_count:.1%}" if chance else ""
        return Row(
            what, said, tell_share(hits, test_count), f"{test_count:,} images, {len(names)} classes",
            tell_interval(*interval), control,
        )  # fmt: skip

    top5, top1 = "class among the first five", "class first"
    return Section(
        id_,
        title,
        figure,
        told=(
            f"Each of {len(names)} classes, which the images of {run.dataset} show, is read from {NEURONS} "
            f"neurons of {layer.layer} of {run.model_id}: chosen and weighed on one half of the images, asked "
            "about on the other. Beside it the best single neuron of each class, and a linear probe of all "
            f"{layer.unit_count}. The paper's classes are the 1,000 of ImageNet, and its images photos: with "
            "fewer classes five guesses hit more often, so compare with the shuffled classes.",
        ),
        rows=[
            row(f"{top5}, {NEURONS} neurons a class", "top5_count", few, few_shuffled, published),
            row(f"{top5}, the best single neuron", "top5_count", one, None),
            row(f"{top5}, all neurons", "top5_count", every, all_shuffled),
            row(f"{top1}, {NEURONS} neurons a class", "top1_count", few, few_shuffled),
            row(f"{top1}, the best single neuron", "top1_count", one, None),
            row(f"{top1}, all neurons", "top1_count", every, all_shuffled),
        ],
        parts=[_list(subject, layer, probes, names)],
        sql=(CLASSES,),
    )


def _probe(
    subject: Subject, layer: RunLayer, images: list[_Image], names: list[str]
) -> tuple[SparseProbes, int]:
    """The probes, and how many images they were asked about."""
    images = sorted(images)
    ids = np.array([image.example_id for image in images], dtype=np.int64)
    blocks = [block.activations for block in iter_blocks(subject.ask.connection, layer, ids)]
    values = np.concatenate(blocks).astype(np.float64).T
    place = {name: number for number, name in enumerate(names)}
    classes = np.array([place[image.concept] for image in images])
    is_fitted = np.array([image.half == "screening" for image in images])
    probes = probe_classes(
        values[is_fitted], classes[is_fitted], values[~is_fitted], classes[~is_fitted], NEURONS
    )
    return probes, int((~is_fitted).sum())


def _list(subject: Subject, layer: RunLayer, probes: SparseProbes, names: list[str]) -> Table:
    """Each class as its neurons, with their labels."""
    labels = dict(
        subject.ask.connection.execute(
            "select unit, concept from neuron_labels where dataset = $dataset and run_id = $run_id "
            "and layer = $layer and is_labelled",
            {**subject.ask.where, "layer": layer.layer},
        ).fetchall()
    )

    def tell(unit: int, weight: float) -> str:
        return f"{weight:+.1f} {unit} ({labels.get(unit, 'unlabelled')})".replace(
            "-", "\N{MINUS SIGN}", 1
        )

    return Table(
        "Every class as a sum of neurons: weight (log odds for one SD), unit, and its label",
        ("class", "neurons"),
        [
            (
                name,
                ", ".join(tell(int(u), w) for u, w in zip(units, weights, strict=True) if u >= 0),
            )
            for name, units, weights in zip(names, probes.units, probes.weights, strict=True)
        ],
        is_folded=True,
    )
