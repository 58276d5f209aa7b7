"""What neurons write, in words: zero-shot neuron search the other way round, by the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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

FIRST, SECOND = "neuron_weight_texts", "neuron_second_order_texts"

_SUMMARY = """
with
labelled as (
    select layer, unit, concept, any_value(phrase) filter (where phrase_rank = 1) as first,
        bool_or(is_label) filter (where phrase_rank <= 5) as is_among_five,
        any_value(cosine) filter (where phrase_rank = 1) as cosine,
        any_value(random_cosine) filter (where phrase_rank = 1) as random_cosine,
    from {view}
    where dataset = $dataset and run_id = $run_id
    group by all
),
-- By chance: the first phrase of one labelled neuron, held against the label of another one.
chance as (
    select avg((one.first = other.concept)::integer) as frac
    from labelled as one
    inner join labelled as other on (one.layer, one.unit) <> (other.layer, other.unit)
    where one.concept is not null and other.concept is not null
)
select
    count(*) as neuron_count,
    count(concept) as labelled_count,
    count(*) filter (where first = concept) as first_count,
    count(*) filter (where is_among_five) as five_count,
    wilson_low(first_count, labelled_count) as first_low,
    wilson_high(first_count, labelled_count) as first_high,
    wilson_low(five_count, labelled_count) as five_low,
    wilson_high(five_count, labelled_count) as five_high,
    any_value(chance.frac) as chance_frac,
    median(cosine) as cosine,
    median(random_cosine) as random_cosine,
    count(*) filter (where cosine > random_cosine) as above_count,
from labelled
cross join chance
"""

_CLEAREST = """
with
neurons as (
    select layer, unit, any_value(concept) as concept,
        string_agg(phrase, ', ' order by phrase_rank) filter (where phrase_rank <= 4) as phrases,
        max(cosine) as cosine, max(random_cosine) as random_cosine,
    from {view}
    where dataset = $dataset and run_id = $run_id
    group by layer, unit
)
from neurons
order by cosine desc, layer, unit
limit 30
"""


class _Summary(NamedTuple):
    neuron_count: int
    labelled_count: int
    first_count: int
    five_count: int
    first_low: float | None
    first_high: float | None
    five_low: float | None
    five_high: float | None
    chance_frac: float | None
    cosine: float | None
    random_cosine: float | None
    above_count: int


class _Neuron(NamedTuple):
    layer: str
    unit: int
    concept: str | None
    phrases: str
    cosine: float
    random_cosine: float


def make_section(subject: Subject) -> Section:
    """Phrases of `neurons figures`, beside the labels of the run's images."""
    id_, title = "text-by-weights", "What neurons write, in words"
    figure = "no figure of its own; how a text can be held against neurons without an image"
    found = {view: subject.ask(_SUMMARY.format(view=view), _Summary)[0] for view in (FIRST, SECOND)}
    views = [view for view, one in found.items() if one.neuron_count]
    if not views:
        named = f"--dataset {subject.run.dataset} --run {subject.run.run_id}"
        return Section(
            id_,
            title,
            figure,
            missing=Missing(
                "The model was not asked yet; or no neuron of a layer of this run leads straight to the "
                "embedding (the layer before a ResNet's attention pool does, and the MLPs of a ViT, which act "
                "through later attention as well: second order).",
                (
                    f"neurons figures {named} --figure weights",
                    f"neurons figures {named} --figure second-order",
                ),
            ),
        )
    told = [_TOLD.format(model=subject.run.model_id)]
    if SECOND in views:
        told.append(_TOLD_SECOND)
    return Section(
        id_,
        title,
        figure,
        told=tuple(told),
        rows=[row for view in views for row in _tell(found[view], _NAMES[view])],
        parts=[
            _list_clearest(view, subject.ask(_CLEAREST.format(view=view), _Neuron))
            for view in views
        ],
        sql=tuple(query.format(view=view) for view in views for query in (_SUMMARY, _CLEAREST)),
    )


_NAMES = {FIRST: "", SECOND: ", second order"}

_TOLD = (
    "What a neuron of {model} adds to the embedding is a direction, which the weights alone give; the names "
    "of the lexicon's concepts are directions in the same space. In a ResNet the way leads through the "
    "attention pool with the attention held fixed, in a ViT through the last norm and the projection (first "
    "order: Gandelsman et al. 2024, arXiv:2406.04341). No image is looked at. The label is what the neuron's "
    "strongest images show; where both say the same, two sources that know nothing of each other agree."
)

_TOLD_SECOND = (
    "Second order (the same paper, section 3.2): what later attention layers carry of a neuron to the class "
    "token, on the images of the run that excite it most; the direction is the first principal component of "
    "these effects. It rests on images that the label rests on too, so its agreement says less."
)


def _list_clearest(view: str, neurons: Sequence[_Neuron]) -> Table:
    """Neurons by how close their first phrase is; with the layer, if they are of several."""
    is_one = len({n.layer for n in neurons}) == 1
    return Table(
        f"Neurons whose first phrase is closest{_NAMES[view]}",
        (
            "unit" if is_one else "neuron",
            "label",
            "phrases, closest first",
            "cosine",
            "random direction",
        ),
        [
            (
                n.unit if is_one else f"{n.layer} {n.unit}",
                n.concept or "unlabelled",
                n.phrases,
                n.cosine,
                n.random_cosine,
            )
            for n in neurons
        ],
    )


def _tell(one: _Summary, name: str) -> Sequence[Row]:
    """Rows of one kind of effect."""
    return (
        Row(
            f"labelled neurons whose label comes first of all phrases{name}",
            "",
            tell_share(one.first_count, one.labelled_count),
            f"{one.labelled_count} labelled neurons",
            tell_interval(one.first_low, one.first_high),
            f"another neuron's label {tell_percent(one.chance_frac)}",
        ),
        Row(
            f"the same, among the first five{name}",
            "",
            tell_share(one.five_count, one.labelled_count),
            f"{one.labelled_count} labelled neurons",
            tell_interval(one.five_low, one.five_high),
            "",
        ),
        Row(
            f"cosine of the first phrase, median{name}",
            "",
            f"{one.cosine:.2f}",
            f"{one.neuron_count} neurons",
            "",
            f"random direction {one.random_cosine:.2f}",
        ),
    )
