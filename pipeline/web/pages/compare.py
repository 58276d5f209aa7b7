"""Two neurons side by side; or a concept in two runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import ConfigError
from pipeline.report import words
from pipeline.report.gather import gather_card
from pipeline.report.thumbnails import Picture, name_pictures
from pipeline.warehouse.find import Neuron, find_neuron
from pipeline.web.compare_figures import (
    draw_histograms,
    list_figures,
    list_strata,
    list_support,
)
from pipeline.web.concepts import Concept, Elsewhere, gather_concept, list_elsewhere
from pipeline.web.links import ConceptPlace, read_address
from pipeline.web.pages.concept import draw_sparks
from pipeline.web.pages.layer import STRIP_IMAGES

if TYPE_CHECKING:
    from pipeline.web.view import View

CARD_COUNT = 6
"""Neurons of each concept."""

_PARTS = frozenset(("support", "examples", "distribution", "facets"))


class Shared(NamedTuple):
    """An image that both have among their strongest."""

    example_id: int
    first_rank: int
    second_rank: int
    first_sd: float | None
    second_sd: float | None


_SHARED = """
with strongest as (
    select example_id, run_id, layer, unit, example_rank,
        if(axis = 'z', activation_z, activation_sd) as strength,
    from top_examples
    inner join layer_axes using (dataset, run_id, layer)
    where dataset = $dataset and polarity = 'positive'
),

first as (
    select * from strongest where run_id = $run_id and layer = $layer and unit = $unit
),

second as (
    select * from strongest where run_id = $other_run and layer = $other_layer and unit = $other_unit
)

select
    example_id, first.example_rank as first_rank, second.example_rank as second_rank,
    first.strength as first_sd, second.strength as second_sd,
from first
inner join second using (example_id)
order by first_rank + second_rank, example_id
"""


class Correlation(NamedTuple):
    """How alike both answer; ``neuron_neighbours``."""

    correlation: float
    example_count: int
    neighbour_rank: int


_CORRELATION = """
select correlation, example_count, neighbour_rank
from neuron_neighbours
where
    dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
    and other_run_id = $other_run and other_layer = $other_layer and other_unit = $other_unit
"""


class Suggested(NamedTuple):
    """A neuron to compare with."""

    run_id: str
    layer: str
    unit: int
    model_id: str
    correlation: float | None
    concept: str | None
    is_labelled: bool


_SUGGESTED = """
with this as (
    select concept, category
    from neuron_labels
    where
        dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
        and is_labelled
),

near as (
    select
        other_run_id as run_id, other_layer as layer, other_unit as unit, correlation,
    from neuron_neighbours
    where
        dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
        and neighbour_rank <= 6
)

select
    run_id, layer, unit, model_id, correlation, labels.concept,
    coalesce(is_labelled, false) as is_labelled,
from neuron_labels as labels
left join near using (run_id, layer, unit)
left join this using (concept, category)
where
    dataset = $dataset and (run_id, layer, unit) is distinct from ($run_id, $layer, $unit)
    and (correlation is not null or (is_labelled and this.concept is not null))
order by correlation desc nulls last, run_id, layer, unit
limit 18
"""


def compare_page(view: View, first: str, second: str) -> str:
    """The page of a comparison; or a form for what is missing, with suggestions.

    Args:
        view: Asks and renders.
        first: The address of a neuron or a concept; may be empty.
        second: And of another.

    Raises:
        ConfigError: One is not such an address, or they are of different kinds.
        WarehouseError: There is no such neuron or concept.
    """
    places = [read_address(address) for address in (first, second) if address.strip()]
    neurons = [place for place in places if isinstance(place, Neuron)]
    concepts = [place for place in places if isinstance(place, ConceptPlace)]
    if neurons and concepts:
        raise ConfigError(
            "One address is that of a neuron, the other that of a concept.",
            "Compare two neurons, or a concept in two runs.",
        )
    form = {"first": first, "second": second}
    if len(neurons) == 2:
        return _compare_neurons(view, _find(view, neurons[0]), _find(view, neurons[1]), form)
    if len(concepts) == 2:
        return _compare_concepts(view, concepts, form)
    neuron, known = None, None
    near: list[tuple[Neuron, Suggested]] = []
    elsewhere: list[Elsewhere] = []
    if neurons:
        neuron = _find(view, neurons[0])
        near = [
            (Neuron(neuron.dataset, row.run_id, row.layer, row.unit), row)
            for row in view.ask(_SUGGESTED, Suggested, **neuron.parameters)
        ]
    elif concepts:
        known = gather_concept(view, *concepts[0], CARD_COUNT)
        elsewhere = list_elsewhere(view, known.run, known.category, known.concept)
    return view.render(
        "compare_with.html.j2",
        form=form,
        neuron=neuron,
        known=known,
        near=near,
        elsewhere=elsewhere,
    )


def _find(view: View, neuron: Neuron) -> Neuron:
    """With the run's whole id and the layer's canonical name."""
    return find_neuron(view.connection, neuron.layer, neuron.unit, neuron.run_id, neuron.dataset)


def _compare_neurons(view: View, first: Neuron, second: Neuron, form: dict[str, str]) -> str:
    cards = [gather_card(view.connection, None, neuron, _PARTS) for neuron in (first, second)]
    other: dict[str, str | int] = {
        "other_run": second.run_id,
        "other_layer": second.layer,
        "other_unit": second.unit,
    }
    is_one_dataset = first.dataset == second.dataset
    known = view.ask(_CORRELATION, Correlation, **first.parameters, **other)
    return view.render(
        "compare_neurons.html.j2",
        form=form,
        sides=list(zip((first, second), cards, strict=True)),
        correlation=known[0] if known and is_one_dataset else None,
        is_one_dataset=is_one_dataset,
        shared=_list_shared(view, first, other) if is_one_dataset else [],
        figures=list_figures(cards),
        support=list_support(cards),
        strata=list_strata(cards),
        charts=draw_histograms(cards),
    )


def _compare_concepts(view: View, places: Sequence[ConceptPlace], form: dict[str, str]) -> str:
    found = [gather_concept(view, *place, CARD_COUNT) for place in places]
    return view.render(
        "compare_concepts.html.j2",
        form=form,
        sides=[(_shorten(one), draw_sparks(view, one.labelled.rows)) for one in found],
        strip_images=STRIP_IMAGES,
    )


def _shorten(concept: Concept) -> Concept:
    """What has room beside another."""
    return replace(
        concept,
        tellers=concept.tellers[:CARD_COUNT],
        forms=[replace(forms, rows=forms.rows[:CARD_COUNT]) for forms in concept.forms],
    )


def _list_shared(
    view: View, first: Neuron, other: dict[str, str | int]
) -> list[tuple[Picture, str]]:
    rows = view.ask(_SHARED, Shared, **first.parameters, **other)
    pictures = name_pictures(view.connection, first.dataset, [row.example_id for row in rows])
    number = words.describe_number
    return [
        (
            pictures[row.example_id],
            f"{number(row.first_sd, '.1f')} · {number(row.second_sd, '.1f')}",
        )
        for row in rows
    ]
