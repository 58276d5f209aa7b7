"""Which outline is which concept of the lexicon, and the file that ships."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from pipeline.concepts.lexicon import load_lexicon
from pipeline.concepts.make.cldr import Cldr
from pipeline.concepts.make.packages import PACKAGES, Archive, Package
from pipeline.concepts.make.regions import name_territories
from pipeline.stimuli.make_world.projection import (
    HEIGHT,
    WIDTH,
    Point,
    area,
    centre,
    cut,
    project,
)
from pipeline.stimuli.make_world.topology import Topology
from pipeline.stimuli.world import CountryEntry, WorldFile

OUTLINES = Package(
    "npm",
    "world-atlas",
    "2.0.2",
    "world-atlas-2.0.2.tgz",
    "IXfV0qwlKXpckz1FhwXVwKRjiIhOnWttOskm5CtxMsjgE/MXAYRHWJqgXOpM8IkcPBoXnyTU5lFHcYa5ChG0LQ==",
    "ISC; Natural Earth 4.1: public domain",
)
SOURCES = {"outlines": OUTLINES, **{key: PACKAGES[key] for key in ("core", "names")}}
"""What the map is made from, by what this file calls it."""

_LEAST_AREA, _LEAST_ISLAND = 15, 4
"""Of a country that is more than a point, and of its rings beside the largest: square units."""
_NO_NUMBER = {"Kosovo": "XK"}
"""Codes of outlines that have no number; N. Cyprus and Somaliland have no code either."""
_PARTS = {"GF": ("FR", (-55, 2, -51, 6)), "SJ": ("NO", (5, 74, 35, 82))}
"""Territories that the outline of another holds: its code; and west, south, east, north of their rings."""
_PLACES = {
    "BQ": (-68.3, 12.2),
    "BV": (3.4, -54.4),
    "CC": (96.8, -12.2),
    "CX": (105.6, -10.5),
    "GI": (-5.3, 36.1),
    "GP": (-61.6, 16.2),
    "MQ": (-61.0, 14.6),
    "RE": (55.5, -21.1),
    "TK": (-171.8, -9.2),
    "TV": (179.2, -8.5),
    "VA": (12.5, 41.9),
    "YT": (45.2, -12.8),
}
"""Those without an outline of their own in Natural Earth's 1:50 million, in degrees east and north."""

Rings = list[list[Point]]


def build_world(archives: Mapping[str, Archive]) -> tuple[WorldFile, list[str]]:
    """The file that ships; and the territories of the lexicon that are not on the map, sorted.

    Args:
        archives: By the keys of `SOURCES`.
    """
    cldr = Cldr(archives)
    names = {code: name for code, name in name_territories(cldr).items() if len(code) == 2}
    regions = _regions()
    names = {code: name for code, name in names.items() if name in regions}
    numbered = {digits: code for code, digits in cldr.numbers().items() if code in names}
    coarse, fine = (
        Topology(archives["outlines"].json(f"package/countries-{scale}.json"), is_coarse)
        for scale, is_coarse in (("110m", True), ("50m", False))
    )
    outlines = {code: _project(rings) for code, rings in _iter_outlines(coarse, numbered)}
    small = {code for code, rings in outlines.items() if area(_largest(rings)) < _LEAST_AREA}
    drawn = [
        _outline(code, names.get(code, ""), rings)
        for code, rings in outlines.items()
        if code not in small & names.keys()
    ]
    islands = names.keys() - (outlines.keys() - small)
    points = {
        code: centre(_largest(_project(rings)))
        for code, rings in _iter_outlines(fine, numbered)
        if code in islands - _PLACES.keys()
    }
    points |= {code: project(place) for code, place in _PLACES.items()}
    drawn += [_point(code, names[code], points[code]) for code in islands & points.keys()]
    file: WorldFile = {
        "made_from": made_from(),
        "width": WIDTH,
        "height": HEIGHT,
        "edge": _differences(_edge()),
        "countries": sorted(drawn, key=lambda one: ("at" in one, one["name"])),
    }
    return file, sorted(set(names.values()) - {one["name"] for one in drawn})


def write_world(file: WorldFile) -> str:
    """The text of the file, a line for each country."""
    lines = [
        json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in file["countries"]
    ]
    head = json.dumps({**file, "countries": []}, ensure_ascii=False, separators=(",", ":"))
    return head.removesuffix("]}") + "\n" + ",\n".join(lines) + "\n]}\n"


def made_from() -> dict[str, str]:
    """What the map is made from, as its file tells: packages with version."""
    return {f"{p.registry} {p.name} {p.version}": p.sha512 for p in SOURCES.values()}


def _regions() -> set[str]:
    """Concepts of the category region."""
    table = load_lexicon()
    pairs = zip(table["concept"].to_pylist(), table["category"].to_pylist(), strict=True)
    return {concept for concept, category in pairs if category == "region"}


def _iter_outlines(topology: Topology, numbered: Mapping[str, str]) -> Iterator[tuple[str, Rings]]:
    """Rings in degrees by code, of a country without one by its name."""
    for country in topology.countries:
        name = country["properties"]["name"]
        code = numbered.get(country.get("id", ""), "") or _NO_NUMBER.get(name, name)
        rings = list(topology.rings(country))
        for part, (owner, box) in _PARTS.items():
            if owner == code:
                own = [ring for ring in rings if _is_within(ring, box)]
                rings = [ring for ring in rings if not _is_within(ring, box)]
                yield part, own
        yield code, rings


def _is_within(ring: Iterable[Point], box: tuple[int, int, int, int]) -> bool:
    west, south, east, north = box
    return all(west < x < east and south < y < north for x, y in ring)


def _project(rings: Iterable[list[Point]]) -> Rings:
    return [[project(point) for point in piece] for ring in rings for piece in cut(ring)]


def _largest(rings: Rings) -> list[Point]:
    return max(rings, key=area)


def _outline(code: str, concept: str, rings: Rings) -> CountryEntry:
    """A country; without one of its islands that nobody sees."""
    most = max(map(area, rings))
    kept = [ring for ring in rings if area(ring) >= min(most, _LEAST_ISLAND)]
    return {
        "code": code if concept else "",
        "name": concept or code,
        "is_concept": bool(concept),
        "rings": [_differences(ring) for ring in kept],
    }


def _point(code: str, concept: str, place: Point) -> CountryEntry:
    x, y = map(round, place)
    return {"code": code, "name": concept, "is_concept": True, "at": [x, y]}


def _differences(ring: Iterable[Point]) -> list[int]:
    """The first point of a ring in whole units, then the way to each next one."""
    places = [(round(x), round(y)) for x, y in ring]
    found = list(places[0])
    for before, place in pairwise(places):
        if place != before:
            found += [place[0] - before[0], place[1] - before[1]]
    return found


def _edge() -> list[Point]:
    """The ring of the whole earth."""
    right = [project((180, latitude)) for latitude in range(90, -91, -5)]
    return [*right, *((WIDTH - x, y) for x, y in reversed(right))]
