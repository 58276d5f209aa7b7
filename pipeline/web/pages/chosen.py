"""Chosen neurons: a list that lives in the address, with a name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from markupsafe import Markup

from pipeline.web.chosen import Chosen
from pipeline.web.neuron_filter import COLUMNS, Filter
from pipeline.web.neuron_lists import count_categories, of_list
from pipeline.web.neurons import NeuronPage, list_neurons
from pipeline.web.pages.layer import STRIP_IMAGES
from pipeline.web.site_command import site_command
from pipeline.web.sparkline import draw_sparklines

if TYPE_CHECKING:
    from pipeline.warehouse.find import Neuron
    from pipeline.web.view import View


def chosen_page(view: View, chosen: Chosen, wanted: Filter, is_part: bool = False) -> str:
    """The page of a list, or the cards on it alone.

    Args:
        view: Asks and renders.
        chosen: The list; of an empty one the page says how neurons come to be on it.
        wanted: Which of them, and in which order.
        is_part: What changes when something else is asked for, without the page around it.
    """
    neurons, known, categories = NeuronPage((), 0, 1, 1), 0, []
    if chosen.neurons:
        among = of_list(chosen)
        neurons = list_neurons(view, among, wanted)
        known = list_neurons(view, among, Filter(), 1).count
        categories = count_categories(view, among)
    return view.render(
        "neurons.html.j2" if is_part else "chosen.html.j2",
        layer=None,
        chosen=chosen,
        unknown_count=len(chosen.neurons) - known,
        address=partial(view.links.page, "list", **chosen.query),
        wanted=wanted,
        neurons=neurons,
        sparks=_draw_sparks(view, neurons) if wanted.view == "grid" else {},
        columns=COLUMNS,
        categories=categories,
        site_command=site_command(chosen) if chosen.neurons else None,
        strip_images=STRIP_IMAGES,
    )


def _draw_sparks(view: View, neurons: NeuronPage) -> dict[Neuron, Markup]:
    """Small histograms of what is on the page, asked layer by layer."""
    layers: dict[tuple[str, str, str], list[Neuron]] = {}
    for row in neurons.rows:
        layers.setdefault((row.dataset, row.run_id, row.layer), []).append(row.neuron)
    sparks: dict[Neuron, Markup] = {}
    for place, some in layers.items():
        drawn = draw_sparklines(view, *place, [neuron.unit for neuron in some])
        sparks |= {neuron: drawn[neuron.unit] for neuron in some if neuron.unit in drawn}
    return sparks
