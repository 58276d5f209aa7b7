"""A concept and a category: the neurons that stand for it, the images that show it, what it is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from pipeline.base.errors import WarehouseError
from pipeline.warehouse.find import Neuron, find_run
from pipeline.web.concepts import Concept, gather_concept, list_elsewhere
from pipeline.web.neurons import NeuronRow, list_labelled
from pipeline.web.pages.layer import STRIP_IMAGES
from pipeline.web.sources import Source, read_sources
from pipeline.web.sparkline import draw_sparklines

if TYPE_CHECKING:
    from pipeline.web.view import View

CARD_COUNT = 24
"""Neurons on the page; the lists of layers have all."""


class ConceptRow(NamedTuple):
    """A concept in the list of its category."""

    concept: str
    neuron_count: int
    image_count: int
    best_score: float | None
    """AUROC of the label of the neuron that tells it best."""


_CONCEPTS = """
with labelled as (
    select concept, count(*) as neuron_count, max(score) as best_score
    from neuron_labels
    where dataset = $dataset and run_id = $run_id and category = $category and is_labelled
    group by concept
),

shown as (
    select concept, count(distinct example_id) as image_count
    from run_concepts
    where dataset = $dataset and run_id = $run_id and category = $category
    group by concept
)

select
    concept, coalesce(neuron_count, 0) as neuron_count, coalesce(image_count, 0) as image_count,
    best_score,
from labelled
full join shown using (concept)
order by neuron_count desc, image_count desc, concept
"""


class LayerCount(NamedTuple):
    """Labelled neurons of a layer."""

    layer: str
    neuron_count: int


_LAYERS = """
select layer, count(*) as neuron_count
from neuron_labels
where
    dataset = $dataset and run_id = $run_id and category = $category and is_labelled
    and coalesce(concept = $concept, true)
group by layer
order by layer
"""


def concept_page(view: View, dataset: str, run_id: str, category: str, concept: str) -> str:
    """The page of a concept in a run.

    Args:
        view: Asks and renders.
        dataset: Of the run.
        run_id: The run's id, or the beginning of it.
        category: Its family.
        concept: Its name.

    Raises:
        WarehouseError: There is no such run, or nothing is known of the concept in it.
    """
    found = gather_concept(view, dataset, run_id, category, concept, CARD_COUNT)
    this = {"dataset": found.run.dataset, "run_id": found.run.run_id, "category": category}
    return view.render(
        "concept.html.j2",
        found=found,
        run=found.run,
        elsewhere=list_elsewhere(view, found.run, category, concept),
        layers=view.ask(_LAYERS, LayerCount, **this, concept=concept),
        sparks=draw_sparks(view, found.labelled.rows),
        strip_images=STRIP_IMAGES,
        sources=_list_sources(view, found) if view.is_site else (),
    )


def _list_sources(view: View, found: Concept) -> list[Source]:
    """Of the images on the page, in the order of their ids."""
    return list(read_sources(view.connection, found.run.dataset, found.image_ids).values())


def category_page(view: View, dataset: str, run_id: str, category: str) -> str:
    """The page of a category in a run.

    Args:
        view: Asks and renders.
        dataset: Of the run.
        run_id: The run's id, or the beginning of it.
        category: Its name.

    Raises:
        WarehouseError: There is no such run, or nothing in it is of the category.
    """
    run = find_run(view.connection, dataset, run_id)
    this = {"dataset": run.dataset, "run_id": run.run_id, "category": category}
    concepts = view.ask(_CONCEPTS, ConceptRow, **this)
    if not concepts:
        raise WarehouseError(
            f"No image or neuron of run {run.run_id!r} is of the category {category!r}.",
            "Follow a link of the run's page.",
        )
    labelled = list_labelled(view, run.dataset, run.run_id, category, None, CARD_COUNT)
    return view.render(
        "category.html.j2",
        run=run,
        category=category,
        concepts=concepts,
        labelled=labelled,
        layers=view.ask(_LAYERS, LayerCount, **this, concept=None),
        sparks=draw_sparks(view, labelled.rows),
        strip_images=STRIP_IMAGES,
    )


def draw_sparks(view: View, rows: Sequence[NeuronRow]) -> dict[Neuron, Markup]:
    """Outlines of the distributions of neurons of any layers.

    Args:
        view: Asks.
        rows: The neurons.
    """
    units: dict[tuple[str, str, str], list[int]] = {}
    for row in rows:
        units.setdefault((row.dataset, row.run_id, row.layer), []).append(row.unit)
    return {
        Neuron(*place, unit): spark
        for place, found in units.items()
        for unit, spark in draw_sparklines(view, *place, found).items()
    }
