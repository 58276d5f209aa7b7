"""The functions behind ``/api`` and the MCP server: a view to ask with, plain arguments, a record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from pipeline.base.errors import ConfigError
from pipeline.report.card_queries import SHOWING, name_these
from pipeline.report.gather import gather_card
from pipeline.report.thumbnails import Picture
from pipeline.search.top import find_top
from pipeline.warehouse.find import Neuron, find_layers, find_neuron, find_run
from pipeline.warehouse.images import read_primary_texts
from pipeline.web.api import records
from pipeline.web.api.records import finite
from pipeline.web.examples import read_excited, read_facts, read_shown, read_texts
from pipeline.web.meanings import find_meanings
from pipeline.web.near import Near, read_near
from pipeline.web.neuron_filter import Filter
from pipeline.web.neurons import list_neurons, of_layer, read_neurons
from pipeline.web.pages.overview import RUNS, RunFigures

if TYPE_CHECKING:
    from pipeline.web.view import View

CONCEPTS_ON_A_PAGE = 100
MAX_TOP = 100
MAX_FOUND = 50

_CONCEPTS = """
select concept, category, count(*) as neuron_count
from neuron_labels
where dataset = $dataset and run_id = $run_id and is_labelled
group by concept, category
order by neuron_count desc, category, concept
"""

_STANDING_FOR = """
select dataset, run_id, layer, unit
from neuron_labels
where
    is_labelled and coalesce(dataset = $dataset, true) and coalesce(run_id = $run_id, true)
    and list_contains($meant::varchar[][], [category, concept])
order by
    list_position($meant::varchar[][], [category, concept]), supported_count desc nulls last,
    agreement desc nulls last, score desc nulls last, dataset, run_id, layer, unit
limit $most
"""


def list_runs(view: View) -> list[records.Run]:
    """All runs of the warehouse, with their layers."""
    runs = view.ask(f"{RUNS} order by all", RunFigures)
    return [records.Run.model_validate(run) for run in runs]


def list_page(
    view: View, dataset: str, run_id: str, layer: str, wanted: Filter
) -> records.NeuronPage:
    """A page of the neurons of a layer, filtered and sorted.

    Raises:
        WarehouseError: There is no such layer.
    """
    (found,) = find_layers(view.connection, dataset, run_id, layer)[:1]
    page = list_neurons(view, of_layer(found.dataset, found.run_id, found.layer), wanted)
    return records.NeuronPage(
        count=page.count,
        page=page.page,
        page_count=page.page_count,
        neurons=[
            records.NeuronItem(**asdict(row), page=view.links.neuron(row.neuron))
            for row in page.rows
        ],
    )


def get_card(view: View, dataset: str, run_id: str, layer: str, unit: int) -> records.NeuronCard:
    """All that is known of a neuron.

    Raises:
        WarehouseError: There is no such neuron.
    """
    neuron = find_neuron(view.connection, layer, unit, run_id, dataset)
    card = gather_card(view.connection, None, neuron)
    near = read_near(view.connection, [neuron])[neuron.unit]

    def images(pictures: Iterable[Picture]) -> list[records.Image]:
        return [
            _image(view, neuron, each.example_id, each.name, each.strength, each.is_labelled)
            for each in pictures
        ]

    return records.NeuronCard(
        **asdict(neuron),
        page=view.links.neuron(neuron),
        model_id=card.model_id,
        is_random=card.is_random,
        axis=card.axis,
        tower=card.tower,
        planted=card.planted,
        stats=finite(asdict(card.stats)),
        label=finite(asdict(card.label)),
        support=card.support and finite(asdict(card.support)),
        top=images(card.top),
        bottom=images(card.bottom),
        histogram=[finite(asdict(each)) for each in card.histogram],
        samples=[
            records.Bin(left_sd=b.left_sd, right_sd=b.right_sd, images=images(b.pictures))
            for b in card.samples
        ],
        multimodality=card.halle_berry and finite(asdict(card.halle_berry)),
        probabilities=[finite(asdict(each)) for each in card.probabilities],
        clarity=card.clarity and finite(asdict(card.clarity)),
        groups=[
            records.Group(
                group_size=group.group_size,
                concept=group.concept,
                concept_count=group.concept_count,
                images=images(group.pictures),
            )
            for group in card.groups
        ],
        near_misses=images(card.contrasting),
        neighbours=[_neighbour(view, neuron, row) for row in near],
    )


def _neighbour(view: View, neuron: Neuron, row: Near) -> records.Neighbour:
    other = Neuron(neuron.dataset, row.other_run_id, row.other_layer, row.other_unit)
    return records.Neighbour(
        **asdict(other),
        page=view.links.neuron(other),
        model_id=row.other_model_id,
        correlation=row.correlation,
        concept=row.concept,
        is_labelled=row.is_labelled,
    )


def list_top(
    view: View, dataset: str, run_id: str, layer: str, unit: int,
    polarity: Literal["positive", "negative"] = "positive", k: int = 16,
) -> list[records.Image]:  # fmt: skip
    """The distinct images that excite or inhibit a neuron most, strongest first.

    Raises:
        ConfigError: ``k`` is below one or above `MAX_TOP`.
        WarehouseError: There is no such neuron.
    """
    if not 1 <= k <= MAX_TOP:
        raise ConfigError(f"k is {k}.", f"It is from 1 to {MAX_TOP}.")
    neuron = find_neuron(view.connection, layer, unit, run_id, dataset)
    rows = find_top(view.connection, neuron, k, polarity).rows
    texts = read_primary_texts(view.connection, neuron.dataset, [row[3] for row in rows])
    shown = _showing(view, neuron, [row[3] for row in rows])
    return [
        _image(
            view, neuron, example_id, texts.get(example_id) or shard_key, sd, example_id in shown
        )
        for _, _, sd, example_id, _, shard_key, _ in rows
    ]


def _showing(view: View, neuron: Neuron, ids: Sequence[int]) -> set[int]:
    """Those of some images that show the neuron's label, as its card says it."""
    asked = {**name_these([neuron]), "ids": list(ids)}
    rows = view.connection.execute(SHOWING, asked).fetchall()
    return {example_id for _, showing in rows for example_id in showing}


def _image(
    view: View, neuron: Neuron, example_id: int, name: str, strength: float | None, is_labelled: bool
) -> records.Image:  # fmt: skip
    return records.Image(
        example_id=example_id,
        name=name,
        strength=strength,
        is_labelled=is_labelled,
        image=view.links.image(neuron.dataset, example_id, 384),
        page=view.links.example(neuron.dataset, neuron.run_id, example_id),
    )


def get_example(view: View, dataset: str, run_id: str, example_id: int) -> records.Example:
    """An image of the dataset, as a run saw it.

    Raises:
        WarehouseError: There is no such run or example.
    """
    run = find_run(view.connection, dataset, run_id)
    facts = read_facts(view, run.dataset, example_id)
    own = {
        name: getattr(facts, name) for name in records.Example.model_fields if hasattr(facts, name)
    }
    return records.Example(
        **own,
        run_id=run.run_id,
        texts=[records.Text(**text._asdict()) for text in read_texts(view, facts)],
        concepts=[
            records.Shown(concept=one.concept, category=one.category, origins=one.origins)
            for one in read_shown(view, facts, run)
        ],
        neurons=[
            records.Excited(
                **asdict(neuron),
                page=view.links.neuron(neuron),
                activation=row.activation,
                strength=row.strength,
                axis=row.axis,
                concept=row.concept,
                is_labelled=row.is_labelled,
            )
            for row in read_excited(view, facts, run)
            for neuron in (Neuron(run.dataset, run.run_id, row.layer, row.unit),)
        ],
        image=view.links.image(run.dataset, example_id, 768),
        page=view.links.example(run.dataset, run.run_id, example_id),
    )


def list_concepts(view: View, dataset: str, run_id: str, page: int = 1) -> records.ConceptPage:
    """A page of the concepts that a run's neurons are labelled with.

    Raises:
        WarehouseError: There is no such run.
    """
    run = find_run(view.connection, dataset, run_id)
    concepts = view.ask(_CONCEPTS, records.Concept, dataset=run.dataset, run_id=run.run_id)
    page_count = max(1, -(-len(concepts) // CONCEPTS_ON_A_PAGE))
    page = min(max(page, 1), page_count)
    first = (page - 1) * CONCEPTS_ON_A_PAGE
    return records.ConceptPage(
        count=len(concepts),
        page=page,
        page_count=page_count,
        concepts=concepts[first : first + CONCEPTS_ON_A_PAGE],
    )


def search(
    view: View, q: str, dataset: str | None = None, run_id: str | None = None
) -> list[records.NeuronItem]:
    """Labelled neurons whose concept is called so, in any language of the lexicon; the closest first.

    Raises:
        ConfigError: Nothing is looked for.
    """
    if not q.strip():
        raise ConfigError("Nothing is looked for.", "Say a concept: q=Japan.")
    words = find_meanings(view.connection, q, MAX_FOUND)
    meant = [[one.category, one.concept] for one in words.concepts]
    asked = {"meant": meant, "dataset": dataset, "run_id": run_id, "most": MAX_FOUND}
    found = view.ask(_STANDING_FOR, Neuron, **asked)
    places: dict[tuple[str, str, str], list[int]] = {}
    for one in found:
        places.setdefault((one.dataset, one.run_id, one.layer), []).append(one.unit)
    rows = [row for place, units in places.items() for row in read_neurons(view, *place, units)]
    items = {
        row.neuron: records.NeuronItem(**asdict(row), page=view.links.neuron(row.neuron))
        for row in rows
    }
    return [items[one] for one in found if one in items]
