"""The case studies' plots: what images show at each activation, and where a category's images lie."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.paper.queries import spell_out
from pipeline.paper.section import (
    Chart,
    Missing,
    Part,
    Row,
    Section,
    Subject,
    tell_interval,
    tell_share,
)
from pipeline.report import charts
from pipeline.report.card import Card
from pipeline.report.card_queries import PROBABILITIES, name_these
from pipeline.report.gather import gather_card
from pipeline.report.words import DENSITIES
from pipeline.warehouse.find import Neuron

COUNT = 3
"""Neurons that are drawn, each of another category."""

SQL = f"""
with

-- What people judged goes first, as in the paper.
judged as (
    select layer, unit, count(*) as judged_count
    from human_labels
    where dataset = $dataset and run_id = $run_id
    group by all
)

select layer, unit
from neuron_labels
left join judged using (layer, unit)
where dataset = $dataset and run_id = $run_id and is_labelled and not is_circular
qualify
    row_number() over (
        partition by category
        order by
            judged_count desc nulls last, supported_count desc nulls last, agreement desc,
            score desc nulls last, layer, unit
    ) = 1
order by
    judged_count desc nulls last, category in ('person', 'emotion', 'region') desc,
    supported_count desc nulls last, agreement desc, score desc nulls last, layer, unit
limit {COUNT}
"""


class _Place(NamedTuple):
    layer: str
    unit: int


def make_section(subject: Subject) -> Section:
    """Of the best neuron of up to three categories."""
    cards = [
        gather_card(
            subject.ask.connection,
            None,
            Neuron(subject.run.dataset, subject.run.run_id, *place),
            parts=("probability",),
        )
        for place in subject.ask(SQL, _Place)
    ]
    cards = [card for card in cards if card.probabilities]
    id_, title = "conditional", "What a neuron's images show at each activation"
    figure = (
        "the conditional probability plots of the Trump, mental illness and East Africa neurons"
    )
    if not cards:
        return Section(
            id_,
            title,
            figure,
            missing=Missing(
                "No labelled neuron has sampled images that can be judged.",
                (
                    f"neurons label export LAYER UNIT --dataset {subject.run.dataset} --out sheet",
                    "neurons label import sheet --labeller NAME",
                ),
            ),
        )
    first = cards[0]
    asked = name_these([Neuron(first.dataset, first.run_id, first.layer, first.unit)])
    return Section(
        id_,
        title,
        figure,
        told=(
            "The paper had people label images of three neurons, blind to their activation, and plots the "
            "share of each category at each activation, and the distribution of activation of each category. "
            "Here texts, stimuli or people judge images drawn at random from every bin (neurons label export "
            "has people do it). The published plots are drawings without numbers. The control of each is the "
            "weakest half of its bins.",
        ),
        rows=[_row(card) for card in cards],
        parts=[part for card in cards for part in _parts(card)],
        sql=(SQL, spell_out(PROBABILITIES, asked)),
    )


def _row(card: Card) -> Row:
    what = card.probabilities[0].what
    points = [point for point in card.probabilities if point.what == what]
    top, weak = points[-1], points[: len(points) // 2]
    hits, judged = sum(p.hit_count for p in weak), sum(p.sample_count for p in weak)
    return Row(
        f"{what}: of images from {top.left_sd:.1f} SD on, unit {card.unit}",
        "",
        tell_share(top.hit_count, top.sample_count),
        f"{top.sample_count:,} images judged",
        tell_interval(top.low, top.high),
        f"weakest bins {tell_share(hits, judged)}" if judged else "",
    )


def _parts(card: Card) -> list[Part]:
    name = f"{card.label.concept} ({card.label.category}), unit {card.unit} of {card.layer}"
    if card.planted:
        name += f"; planted: supervised to stand for {card.planted}"
    told = "; ".join(
        f"{point.what}, {point.left_sd:.1f} to {point.right_sd:.1f} SD: {point.hit_count} of "
        f"{point.sample_count}"
        for point in card.probabilities
    )
    parts: list[Part] = [
        Chart(
            f"{name}. Of the images sampled in each bin, the share that shows it, with Wilson's 95% interval.",
            told,
            charts.probabilities(card.probabilities, card.axis),
            charts.HALF_PX,
        )
    ]
    densities = charts.densities(card.probabilities, card.axis)
    if densities is not None:
        parts.append(Chart(DENSITIES, told, densities, charts.HALF_PX))
    return parts
