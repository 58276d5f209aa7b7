"""The neurons of a layer: cards or a table, filtered, sorted, a page at a time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pipeline.warehouse.find import find_layers
from pipeline.web.neuron_filter import COLUMNS, Filter
from pipeline.web.neurons import list_neurons, of_layer
from pipeline.web.pages.overview import Counted
from pipeline.web.sparkline import draw_sparklines

if TYPE_CHECKING:
    from pipeline.web.view import View

STRIP_IMAGES = 5
"""Images on a card."""


def layer_page(
    view: View, dataset: str, run_id: str, layer: str, wanted: Filter, is_part: bool = False
) -> str:
    """The page, or the list on it alone.

    Args:
        view: Asks and renders.
        dataset: Of the run.
        run_id: The run's id.
        layer: Name, path or preset.
        wanted: Which neurons.
        is_part: What changes when something else is asked for, without the page around it.

    Raises:
        WarehouseError: There is no such layer.
    """
    (found,) = find_layers(view.connection, dataset, run_id, layer)[:1]
    neurons = list_neurons(view, of_layer(found.dataset, found.run_id, found.layer), wanted)
    units = [row.unit for row in neurons.rows]
    sparks = {}
    if wanted.view == "grid":
        drawn = draw_sparklines(view, found.dataset, found.run_id, found.layer, units)
        sparks = {row.neuron: drawn[row.unit] for row in neurons.rows if row.unit in drawn}
    categories = view.ask(
        """
        select category as name, count(*) as neuron_count, 0 as share
        from neuron_labels
        where dataset = $dataset and run_id = $run_id and layer = $layer and is_labelled
        group by category order by category
        """,
        Counted,
        dataset=found.dataset,
        run_id=found.run_id,
        layer=found.layer,
    )
    return view.render(
        "neurons.html.j2" if is_part else "layer.html.j2",
        layer=found,
        chosen=None,
        address=partial(view.links.layer, found.dataset, found.run_id, found.layer),
        wanted=wanted,
        neurons=neurons,
        sparks=sparks,
        columns=COLUMNS,
        categories=categories,
        strip_images=STRIP_IMAGES,
    )
