"""A neuron: all that its card shows, live, panel by panel."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from pipeline.base.errors import ConfigError
from pipeline.report import charts, words
from pipeline.report.card import Card, SampleBin
from pipeline.report.drawn import describe_drawn
from pipeline.report.figures import sd_range
from pipeline.report.gather import gather_cards
from pipeline.warehouse.find import Neuron, find_neuron
from pipeline.web import sql_of
from pipeline.web.near import Near, read_near
from pipeline.web.sources import Source, card_images, read_sources

if TYPE_CHECKING:
    import duckdb

    from pipeline.web.chosen import Chosen
    from pipeline.web.view import View

Values = Mapping[str, object]
"""What a template needs beside the card."""


@dataclass(frozen=True)
class Known:
    """What the panels of a neuron show."""

    neuron: Neuron
    card: Card
    near: Sequence[Near] = ()
    """Neurons that answer to the same images."""
    sources: Sequence[Source] = ()
    """Of its images."""


@dataclass(frozen=True)
class Panel:
    """A part of the page, which has an address of its own."""

    name: str
    title: str
    parts: frozenset[str]
    """What it needs: of a card, see ``gather.PARTS``; ``near``."""
    is_late: bool
    """Fetched when it comes into view: it takes longer than the rest."""
    add: Callable[[Known], Values]
    """What its template needs beside the card."""


class DrawnBin(NamedTuple):
    """A bin of samples and where it stands on the chart, in per cent of its width."""

    bin: SampleBin
    left: float
    width: float


def _distribution(known: Known) -> Values:
    card = known.card
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


def _facets(known: Known) -> Values:
    groups = words.group_strata(known.card.halle_berry)
    return {"charts": [(title, charts.strata(items)) for title, items in groups]}


def _probability(known: Known) -> Values:
    points, axis = known.card.probabilities, known.card.axis
    return {
        "chart": charts.probabilities(points, axis) if points else None,
        "densities": charts.densities(points, axis),
    }


def _neighbours(known: Known) -> Values:
    groups: dict[tuple[str, str, str], list[tuple[Neuron, Near]]] = {}
    for row in known.near:
        place = (row.other_model_id, row.other_run_id, row.other_layer)
        other = Neuron(known.neuron.dataset, row.other_run_id, row.other_layer, row.other_unit)
        groups.setdefault(place, []).append((other, row))
    return {"groups": groups}


def _drawn(known: Known) -> Values:
    return {"told": describe_drawn(known.card.drawn)}


def _nothing(known: Known) -> Values:
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
        ("neighbours", "Neurons that answer to the same images", ["near"], True, _neighbours),
        ("statistics", "Statistics", [], False, _nothing),
    )
)
"""In the order of the page."""


def know_neurons(
    connection: duckdb.DuckDBPyConnection,
    neurons: Sequence[Neuron],
    parts: Collection[str],
    with_sources: bool = False,
) -> dict[int, Known]:
    """What pages of neurons show, by unit; each question is asked once for all of them.

    Args:
        connection: Of ``pipeline.connect``.
        neurons: At least one, all of one layer.
        parts: Of panels.
        with_sources: Of the images too.
    """
    cards = gather_cards(connection, None, neurons, parts)
    near = read_near(connection, neurons) if "near" in parts else {}
    images = {unit: card_images(card) for unit, card in cards.items()} if with_sources else {}
    everything = set().union(*images.values())
    sources = read_sources(connection, neurons[0].dataset, everything) if everything else {}
    return {
        neuron.unit: Known(
            neuron,
            cards[neuron.unit],
            near.get(neuron.unit, ()),
            [sources[one] for one in sorted(images.get(neuron.unit, ()))],
        )
        for neuron in neurons
    }


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
    panels = [panel for panel in PANELS if whole or not panel.is_late]
    known = know_neurons(view.connection, [neuron], parts_of(panels))[neuron.unit]
    return draw_page(view, known, panels, chosen)


def draw_page(
    view: View, known: Known, panels: Sequence[Panel] = PANELS, chosen: Chosen | None = None
) -> str:
    """The page of what is known.

    Args:
        view: Renders.
        known: Of the neuron, all that the panels need.
        panels: Those that are on it; the others are fetched by the browser.
        chosen: The list that led here.
    """
    found = chosen.around(known.neuron) if chosen else None
    return view.render(
        "neuron.html.j2",
        card=known.card,
        neuron=known.neuron,
        panels=PANELS,
        drawn={panel.name: Markup(_render(view, panel, known)) for panel in panels},
        within=chosen if found else None,
        carried=chosen.carried if chosen and found else {},
        place=found[0] if found else None,
        around=found[1:] if found else _around(view, known),
        sources=known.sources,
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
        listed = ", ".join(panel.name for panel in PANELS)
        raise ConfigError(f"There is no panel {name!r}.", f"Panels: {listed}.")
    neuron = find_neuron(view.connection, layer, unit, run_id, dataset)
    known = know_neurons(view.connection, [neuron], parts_of(found))[neuron.unit]
    panel = _render(view, found[0], known)
    if not view.is_embedded:
        return panel
    return view.render("panel.html.j2", card=known.card, neuron=neuron, panel=Markup(panel))


def parts_of(panels: Iterable[Panel]) -> frozenset[str]:
    """What some panels need."""
    return frozenset().union(*(panel.parts for panel in panels))


def _render(view: View, panel: Panel, known: Known) -> str:
    return view.render(
        f"panels/{panel.name}.html.j2",
        panel=panel,
        card=known.card,
        neuron=known.neuron,
        sql=sql_of.PANELS.get(panel.name),
        **panel.add(known),
    )


def _around(view: View, known: Known) -> tuple[Neuron, Neuron]:
    """The neurons before and after it in its layer, in a circle."""
    before, after = view.links.neighbours(known.neuron, known.card.unit_count)
    return replace(known.neuron, unit=before), replace(known.neuron, unit=after)
