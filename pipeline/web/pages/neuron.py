"""A neuron: all that its card shows, live, panel by panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from pipeline.base.errors import ConfigError
from pipeline.report import charts, words
from pipeline.report.card import Card, SampleBin
from pipeline.report.drawn import describe_drawn
from pipeline.report.figures import sd_range
from pipeline.report.gather import gather_card
from pipeline.warehouse.find import Neuron, find_neuron
from pipeline.web import sql_of
from pipeline.web.sources import card_images, read_sources

if TYPE_CHECKING:
    from pipeline.web.chosen import Chosen
    from pipeline.web.view import View

Values = Mapping[str, object]
"""What a template needs beside the card."""


@dataclass(frozen=True)
class Panel:
    """A part of the page, which has an address of its own."""

    name: str
    title: str
    parts: frozenset[str]
    """What it needs of a card, see ``gather.PARTS``."""
    is_late: bool
    """Fetched when it comes into view: it takes longer than the rest."""
    add: Callable[[View, Card], Values]
    """What its template needs beside the card."""


class DrawnBin(NamedTuple):
    """A bin of samples and where it stands on the chart, in per cent of its width."""

    bin: SampleBin
    left: float
    width: float


def _distribution(view: View, card: Card) -> Values:
    if not card.histogram:
        return {"chart": None, "bins": []}
    limits = sd_range(card)
    left, right = charts.HISTOGRAM_LEFT_PX, charts.HISTOGRAM_RIGHT_PX
    inner, span = charts.WIDE_PX - left - right, limits[1] - limits[0]

    def at(sd: float) -> float:
        """Per cent of the chart's width."""
        return 100 * (left + inner * (sd - limits[0]) / span) / charts.WIDE_PX

    bins = [DrawnBin(b, at(b.left_sd), at(b.right_sd) - at(b.left_sd)) for b in card.samples]
    return {"chart": charts.histogram(card, limits), "bins": bins}


def _facets(view: View, card: Card) -> Values:
    groups = words.group_strata(card.halle_berry)
    return {"charts": [(title, charts.strata(items)) for title, items in groups]}


def _probability(view: View, card: Card) -> Values:
    points = card.probabilities
    return {
        "chart": charts.probabilities(points, card.axis) if points else None,
        "densities": charts.densities(points, card.axis),
    }


NEIGHBOURS = """
with near as (
    select *
    from neuron_neighbours
    where dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
)

select
    other_model_id, other_run_id, other_layer, other_unit, correlation,
    labels.concept, coalesce(labels.is_labelled, false) as is_labelled,
from near
left join neuron_labels as labels
    on
        near.dataset = labels.dataset and other_run_id = labels.run_id
        and other_layer = labels.layer and other_unit = labels.unit
where neighbour_rank <= 6
order by other_run_id <> $run_id, other_layer <> $layer, other_run_id, other_layer, neighbour_rank
"""


class Near(NamedTuple):
    """A neuron that answers to the same images."""

    other_model_id: str
    other_run_id: str
    other_layer: str
    other_unit: int
    correlation: float
    concept: str | None
    is_labelled: bool


def _neighbours(view: View, card: Card) -> Values:
    neuron = neuron_of(card)
    groups: dict[tuple[str, str, str], list[tuple[Neuron, Near]]] = {}
    for row in view.ask(NEIGHBOURS, Near, **neuron.parameters):
        place = (row.other_model_id, row.other_run_id, row.other_layer)
        other = Neuron(neuron.dataset, row.other_run_id, row.other_layer, row.other_unit)
        groups.setdefault(place, []).append((other, row))
    return {"groups": groups}


def _drawn(view: View, card: Card) -> Values:
    return {"told": describe_drawn(card.drawn)}


def _nothing(view: View, card: Card) -> Values:
    return {}


PANELS = tuple(
    Panel(name, title, frozenset(parts), is_late, add)
    for name, title, parts, is_late, add in (
        ("top", words.TITLES["top"], ["examples"], False, _nothing),
        ("bottom", words.TITLES["bottom"], ["examples"], False, _nothing),
        ("drawn", words.TITLES["drawn"], ["drawn"], True, _drawn),
        ("evidence", "What the label rests on", [], False, _nothing),
        ("support", words.TITLES["support"], ["support"], False, _nothing),
        ("histogram", "All its activations", ["distribution"], True, _distribution),
        ("facets", words.TITLES["facets"], ["facets"], True, _facets),
        ("probability", words.TITLES["probability"], ["probability"], True, _probability),
        ("groups", words.TITLES["groups"], ["clarity"], True, _nothing),
        ("contrasting", words.TITLES["contrasting"], ["contrasting"], True, _nothing),
        ("neighbours", "Neurons that answer to the same images", [], True, _neighbours),
        ("statistics", "Statistics", [], False, _nothing),
    )
)
"""In the order of the page."""


def neuron_of(card: Card) -> Neuron:
    """Which neuron a card is of."""
    return Neuron(card.dataset, card.run_id, card.layer, card.unit)


def neuron_page(
    view: View,
    dataset: str,
    run_id: str,
    layer: str,
    unit: int,
    whole: bool = False,
    chosen: Chosen | None = None,
) -> str:
    """The page of a neuron.

    Args:
        view: Asks and renders.
        dataset: Of the run.
        run_id: The run's id.
        layer: Name, path or preset.
        unit: Index in the layer.
        whole: All panels are on it; else those that take long are fetched by the browser.
        chosen: The list that led here: the neurons before and after it are the list's, if it is on it.

    Raises:
        WarehouseError: There is no such neuron.
    """
    neuron = find_neuron(view.connection, layer, unit, run_id, dataset)
    drawn = [panel for panel in PANELS if whole or not panel.is_late]
    parts = frozenset().union(*(panel.parts for panel in drawn))
    card = gather_card(view.connection, None, neuron, parts)
    panels = {panel.name: Markup(_render(view, panel, card)) for panel in drawn}
    found = chosen.around(neuron) if chosen else None
    return view.render(
        "neuron.html.j2",
        card=card,
        neuron=neuron,
        panels=PANELS,
        drawn=panels,
        within=chosen if found else None,
        carried=chosen.carried if chosen and found else {},
        place=found[0] if found else None,
        around=found[1:] if found else _around(view, neuron),
        sources=read_sources(view, neuron.dataset, card_images(card)) if view.is_site else (),
    )


def neuron_panel(view: View, dataset: str, run_id: str, layer: str, unit: int, name: str) -> str:
    """One panel of the page, without the page.

    Args:
        view: Asks and renders.
        dataset: Of the run.
        run_id: The run's id.
        layer: Name, path or preset.
        unit: Index in the layer.
        name: Of one of `PANELS`.

    Raises:
        ConfigError: There is no such panel.
        WarehouseError: There is no such neuron.
    """
    found = [panel for panel in PANELS if panel.name == name]
    if not found:
        known = ", ".join(panel.name for panel in PANELS)
        raise ConfigError(f"There is no panel {name!r}.", f"Panels: {known}.")
    neuron = find_neuron(view.connection, layer, unit, run_id, dataset)
    card = gather_card(view.connection, None, neuron, found[0].parts)
    panel = _render(view, found[0], card)
    if not view.is_embedded:
        return panel
    return view.render("panel.html.j2", card=card, neuron=neuron, panel=Markup(panel))


def _render(view: View, panel: Panel, card: Card) -> str:
    return view.render(
        f"panels/{panel.name}.html.j2",
        panel=panel,
        card=card,
        neuron=neuron_of(card),
        sql=sql_of.PANELS.get(panel.name),
        **panel.add(view, card),
    )


def _around(view: View, neuron: Neuron) -> tuple[Neuron, Neuron]:
    """The neurons before and after it in its layer, in a circle."""
    ((count,),) = view.connection.execute(
        """
        select unit_count from stg_layers
        where dataset = $dataset and run_id = $run_id and layer = $layer
        """,
        {name: value for name, value in neuron.parameters.items() if name != "unit"},
    ).fetchall()
    before, after = view.links.neighbours(neuron, count)
    return replace(neuron, unit=before), replace(neuron, unit=after)
