"""The map of a layer: a plane in which neurons that see alike lie together."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from pipeline.warehouse.find import Neuron, find_layers
from pipeline.web.chosen import MAX_CHOSEN, Chosen
from pipeline.web.plane import mean_directions

if TYPE_CHECKING:
    from pipeline.web.kept_maps import KeptMaps
    from pipeline.web.view import View

STEPS = 10_000
"""Places are told as whole numbers up to this."""

_UNIT = 2**31 - 1
"""Stands in an address where a script puts the unit."""

_LABELS = """
select unit, if(is_labelled, concept, null) as concept, if(is_labelled, category, null) as category,
from neuron_labels
where dataset = $dataset and run_id = $run_id and layer = $layer
"""


class Label(NamedTuple):
    """What a neuron stands for, if that is known."""

    unit: int
    concept: str | None
    category: str | None


def map_page(view: View, dataset: str, run_id: str, layer: str, unit: int | None = None) -> str:
    """The page; its dots are fetched by a script, see `map_points`.

    Args:
        view: Asks and renders.
        dataset: Of the run.
        run_id: The run's id.
        layer: Name, path or preset.
        unit: Whose surroundings are shown first.

    Raises:
        WarehouseError: There is no such layer.
    """
    found = find_layers(view.connection, dataset, run_id, layer)[0]
    return view.render("map.html.j2", layer=found, unit=unit, most=MAX_CHOSEN)


def map_points(view: View, maps: KeptMaps, dataset: str, run_id: str, layer: str) -> str:
    """Where each neuron lies and what it stands for, as JSON: columns of equal length, in order of the unit.

    ``x`` and ``y`` are whole numbers up to `STEPS`; ``concept`` and ``category`` are places in ``concepts``
    and ``categories``, of which the first is none. ``neuron`` and ``strip`` are addresses with ``{unit}``,
    ``list`` is what a list of them begins with.

    Args:
        view: Asks.
        maps: Where they are kept.
        dataset: Of the run.
        run_id: The run's id.
        layer: Name, path or preset.

    Raises:
        WarehouseError: There is no such layer.
    """
    from pipeline.evidence.matrix import list_layers

    found = find_layers(view.connection, dataset, run_id, layer)[0]
    of_run = list_layers(view.connection, found.dataset, found.run_id)
    (wanted,) = (one for one in of_run if one.layer == found.layer)
    units, directions = mean_directions(view.connection, wanted)
    places = maps.read(directions)
    this = {"dataset": found.dataset, "run_id": found.run_id, "layer": found.layer}
    labels = {row.unit: row for row in view.ask(_LABELS, Label, **this)}
    told = [labels.get(unit) for unit in units.tolist()]
    concepts, concept_places = _number([one and one.concept for one in told])
    categories, category_places = _number([one and one.category for one in told])
    any_one = Neuron(found.dataset, found.run_id, found.layer, _UNIT)
    points = (places * STEPS).round().astype(int)
    return json.dumps(
        {
            "units": units.tolist(),
            "x": points[:, 0].tolist(),
            "y": points[:, 1].tolist(),
            "concept": concept_places,
            "category": category_places,
            "concepts": concepts,
            "categories": categories,
            "neuron": _template(view.links.neuron(any_one)),
            "strip": _template(view.links.strip(any_one, 1)),
            "list": Chosen((any_one,)).text.removesuffix(str(_UNIT)),
            "unplaced": found.unit_count - len(units),
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def _number(names: list[str | None]) -> tuple[list[str | None], list[int]]:
    """Names once, the commonest first after none, and the place of each."""
    counts = Counter(name for name in names if name is not None)
    known = [None, *sorted(counts, key=lambda name: (-counts[name], name))]
    place = {name: number for number, name in enumerate(known)}
    return known, [place[name] for name in names]


def _template(address: str) -> str:
    return address.replace(str(_UNIT), "{unit}")
