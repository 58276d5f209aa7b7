"""Families of neurons: which categories the labels of a run are of, beside the families of the paper."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.paper.named import load_named
from pipeline.paper.section import (
    Missing,
    Row,
    Section,
    Subject,
    Table,
    tell_interval,
    tell_percent,
    tell_share,
)

PAPERS = {
    "region": "Region Neurons",
    "person": "Person Neurons",
    "emotion": "Emotion Neurons",
    "religion": "Religion Neurons",
    "person_trait": "Person Trait Neurons",
    "art_style": "Art Style Neurons",
    "holiday": "Holiday Neurons",
    "fictional_universe": "Fictional Universe Neurons",
    "brand": "Brand Neurons",
    "abstract_concept": "Abstract Concept Neurons",
    "counting": "Counting Neurons",
    "time": "Time Neurons",
    "color": "Color Neurons",
}
"""The paper's name of a category of ours."""

SQL = """
with

neurons as (
    select *
    from neuron_labels
    where dataset = $dataset and run_id = $run_id
),

labelled as (
    select
        category,
        count(*) as labelled_count,
        string_agg(concat(concept, ' (', unit, ')'), ', ' order by score desc nulls last, unit)
        filter (where category_rank <= 5) as best,
    from (
        select
            *,
            row_number() over (
                partition by category order by supported_count desc nulls last, score desc nulls last, unit
            ) as category_rank,
        from neurons
        where is_labelled
    )
    group by category
)

select
    category, labelled_count, neuron_count,
    wilson_low(labelled_count, neuron_count) as low,
    wilson_high(labelled_count, neuron_count) as high, best,
from labelled
cross join (select count(*) as neuron_count from neurons)
order by labelled_count desc, category
"""

WORTH = """
select neuron_count, labelled_count, permuted_frac, chance_count
from label_baselines
where dataset = $dataset and run_id = $run_id
"""


class _Family(NamedTuple):
    category: str
    labelled_count: int
    neuron_count: int
    low: float
    high: float
    best: str


class _Worth(NamedTuple):
    neuron_count: int
    labelled_count: int
    permuted_frac: float | None
    chance_count: float


def make_section(subject: Subject) -> Section:
    """The labels of a run by category."""
    families = subject.ask(SQL, _Family)
    id_, title, figure = (
        "families",
        "Families of neurons",
        "the figure of neuron families",
    )
    if not families:
        return Section(
            id_,
            title,
            figure,
            missing=Missing(
                "None of its neurons is labelled: its images have no texts that name concepts, or labels were "
                "not computed.",
                ("neurons build", "neurons check"),
            ),
        )
    (worth,) = subject.ask(WORTH, _Worth)
    without = sorted({one.family for one in load_named()} - {c.replace("_", " ") for c in PAPERS})
    permuted = worth.permuted_frac
    control = f"by chance {worth.chance_count:,.0f}" + (
        "" if permuted is None else f"; with permuted concepts {permuted:.2%} of the neurons"
    )
    return Section(
        id_,
        title,
        figure,
        told=(
            "The paper sorts neurons into families by hand and shows some of each; it gives no shares. Ours "
            "are the categories of labels that were found by test, so a family is as large as the concepts "
            "that the run's images show.",
            f"Families of the paper without a category of ours: {', '.join(without)}.",
        ),
        rows=[
            Row(
                "labelled neurons, all families",
                "",
                tell_share(worth.labelled_count, worth.neuron_count),
                f"{worth.neuron_count:,} neurons",
                subject.interval(worth.labelled_count, worth.neuron_count),
                control,
            ),
            *(_row(family) for family in families),
        ],
        parts=[
            Table(
                "The five best labels of each",
                ("category", "in the paper", "labels (units)"),
                [
                    (one.category.replace("_", " "), PAPERS.get(one.category, "–"), one.best)
                    for one in families
                ],
            )
        ],
        sql=(SQL, WORTH),
    )


def _row(family: _Family) -> Row:
    published = PAPERS.get(family.category)
    return Row(
        family.category.replace("_", " "),
        "a family" if published else "",
        f"{family.labelled_count:,} ({tell_percent(family.labelled_count / family.neuron_count)})",
        f"{family.neuron_count:,} neurons",
        tell_interval(family.low, family.high),
        "",
    )
