"""What the search of a site looks in: a script that says it, as a page from the disk may read no other file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.base.display import show
from pipeline.web.site.choose import Chosen
from pipeline.web.site.links import name_place

if TYPE_CHECKING:
    from pipeline.web.view import View

NAME = "search-index.js"
"""Beside the files of ours."""


class _Labelled(NamedTuple):
    dataset: str
    run_id: str
    layer: str
    unit: int
    concept: str
    category: str


class _Phrase(NamedTuple):
    concept: str
    category: str
    phrase: str


_LABELLED = """
select dataset, run_id, layer, unit, concept, category
from neuron_labels
where is_labelled and list_contains($datasets, dataset)
order by category, concept, dataset, run_id, layer, score desc nulls last, unit
"""

_PHRASES = """
select distinct concept, category, phrase
from lexicon
where rule is null and lower(phrase) <> lower(concept)
order by category, concept, phrase
"""


def write_index(view: View, chosen: Chosen) -> str:
    """The script: layers with their units, and concepts with their phrases and neurons.

    Args:
        view: Asks.
        chosen: The neurons that have pages.
    """
    places = list(chosen.units)
    numbers = {place: number for number, place in enumerate(places)}
    neurons: dict[tuple[str, str], dict[int, list[int]]] = {}
    for row in view.ask(_LABELLED, _Labelled, datasets=chosen.datasets):
        place = next((p for p in places if p == row[:3]), None)
        if place is not None and row.unit in chosen.units[place]:
            of_concept = neurons.setdefault((row.concept, row.category), {})
            of_concept.setdefault(numbers[place], []).append(row.unit)
    phrases: dict[tuple[str, str], list[str]] = {}
    for said in view.ask(_PHRASES, _Phrase):
        if (said.concept, said.category) in neurons:
            phrases.setdefault((said.concept, said.category), []).append(show(said.phrase))
    found = {
        "layers": [[name_place(place), show(place.layer), show(place.dataset), _ranges(chosen.units[place])]
                   for place in places],
        "concepts": [[show(concept), show(category), phrases.get((concept, category), []), _flat(of)]
                     for (concept, category), of in neurons.items()],
    }  # fmt: skip
    return f"var neuronsIndex = {_encode(found)};\n"


def _flat(units: Mapping[int, Sequence[int]]) -> list[list[int]]:
    """Of each layer its number and the units."""
    return [[number, *of] for number, of in units.items()]


def _ranges(units: Sequence[int]) -> list[list[int]]:
    """First and last of units that follow each other."""
    found: list[list[int]] = []
    for unit in units:
        if found and found[-1][1] == unit - 1:
            found[-1][1] = unit
        else:
            found.append([unit, unit])
    return found


def _encode(value: Any) -> str:
    """JSON that is a script too, wherever it stands."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace("\u2028", r"\u2028").replace("\u2029", r"\u2029")
