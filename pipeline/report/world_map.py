"""A map of the world with a number for each country: blue above zero, orange below."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup, escape

from pipeline.base.display import show
from pipeline.report.shapes import px
from pipeline.stimuli.world import Country, load_world

WORLD_PX = 960
"""Width of `draw_world`."""
_POINT = 6
"""Radius of a country that is a point, in units of the map."""
_LEGEND, _TEXT, _STEPS = 120, 32, 9
_HEADS = 5


def draw_world(
    values: Mapping[str, float], title: str, unit: str = "SD", most: float | None = None
) -> Markup:
    """An inline SVG of the world, each country as strong as its value; hatched without one.

    A country under the mouse tells its name and value. What has no place on the map or is not finite stands
    in the description (`tell_world`); `list_left_out` lists it for a caption.

    Args:
        values: By concept of the category region.
        title: What the values are, for those who cannot see it.
        unit: Of the values.
        most: The strongest colour's value, above 0, where several maps share a scale; further values have the
            strongest colour too. Otherwise the largest distance from zero.
    """
    world = load_world()
    shown = {name: value for name, value in values.items() if math.isfinite(value)}
    found = [shown[one.name] for one in world.countries if _has(shown, one)]
    most = most or max(map(abs, found), default=0) or 1.0
    told = tell_world(values, unit)
    mark = "w" + hashlib.sha256(f"{title}{told}{most}".encode()).hexdigest()[:8]
    height = world.height + _LEGEND
    countries = (_country(one, shown, most, unit, mark) for one in world.countries)
    return Markup(
        f'<svg role="img" aria-labelledby="{mark}-title {mark}-told" viewBox="0 0 {world.width} {height}" '
        f'font-size="{_TEXT}"><title id="{mark}-title">{escape(show(title))}</title>'
        f'<desc id="{mark}-told">{escape(show(told))}</desc>'
        f'<pattern id="{mark}-none" width="10" height="10" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><path d="M5 0v10" stroke="var(--rule)" stroke-width="4"/></pattern>'
        f'<path d="{world.edge}" fill="none" stroke="var(--rule)" stroke-width="2"/>'
        f'<g fill-rule="evenodd" stroke="var(--faint)" stroke-width="1">{"".join(countries)}</g>'
        f"{''.join(_legend(found, most, unit, mark, height))}</svg>"
    )


def list_left_out(values: Mapping[str, float]) -> list[str]:
    """The names of values that a map does not show: not of a country, or not finite."""
    places = {one.name for one in load_world().countries if one.is_concept}
    return sorted(
        name for name, value in values.items() if name not in places or not math.isfinite(value)
    )


def tell_world(values: Mapping[str, float], unit: str = "SD") -> str:
    """What a map shows, in words: the highest and the lowest, how many there are, and what is left out."""
    left_out = list_left_out(values)
    ranked = sorted(
        ((name, value) for name, value in values.items() if name not in set(left_out)),
        key=lambda one: (-one[1], one[0]),
    )
    count = sum(one.is_concept for one in load_world().countries)
    told = [f"{len(ranked)} of {count} countries have a value, in {unit}."]
    if len(ranked) > 2 * _HEADS:
        told.append(f"Highest: {_list(ranked[:_HEADS])}.")
        told.append(f"Lowest: {_list(ranked[: -_HEADS - 1 : -1])}.")
    elif ranked:
        told[-1] = f"{told[-1][:-1]}: {_list(ranked)}."
    if left_out:
        told.append(f"Not on the map: {', '.join(left_out)}.")
    return " ".join(told)


def _list(ranked: Iterable[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in ranked)


def _has(shown: Mapping[str, float], country: Country) -> bool:
    return country.is_concept and country.name in shown


def _country(
    country: Country, shown: Mapping[str, float], most: float, unit: str, mark: str
) -> str:
    value = shown[country.name] if _has(shown, country) else None
    fill = f'fill="url(#{mark}-none)"' if value is None else _fill(value, most)
    said = "no value" if value is None else f"{_number(value)} {unit}"
    title = f"<title>{escape(show(f'{country.name}: {said}'))}</title>"
    if country.at is None:
        return f'<path d="{country.path}" {fill}>{title}</path>'
    x, y = country.at
    return f'<circle cx="{x}" cy="{y}" r="{_POINT}" {fill}>{title}</circle>'


def _fill(value: float, most: float) -> str:
    """The colour of a value: the paper's at zero."""
    share = min(abs(value) / most, 1)
    colour = "orange" if value < 0 else "blue"
    return f'fill="var(--{colour})" fill-opacity="{share:.2f}"'


def _legend(
    found: Sequence[float], most: float, unit: str, mark: str, height: int
) -> Iterable[str]:
    """The scale below the map, from its lowest end; and what hatching means."""
    low = -most if min(found, default=0) < 0 else 0.0
    high = most if max(found, default=0) > 0 or not low else 0.0
    x, y, side = 60.0, height - 84, 44
    for step in range(_STEPS):
        value = low + (high - low) * step / (_STEPS - 1)
        yield _box(x + step * side, y, side, _fill(value, most))
        if step in (0, _STEPS - 1) or (step == _STEPS // 2 and low < 0 < high):
            said = _number(value) + (f" {unit}" if step == _STEPS - 1 else "")
            yield _text(x + (step + 0.5) * side, y + 74, said, "middle")
    x += (_STEPS + 2.5) * side
    yield _box(x, y, side, f'fill="url(#{mark}-none)"')
    yield _text(x + side + 14, y + 31, "no value")


def _box(x: float, y: float, side: float, fill: str) -> str:
    stroke = 'stroke="var(--rule)" stroke-width="2"'
    return f'<rect x="{px(x)}" y="{px(y)}" width="{px(side)}" height="40" {fill} {stroke}/>'


def _text(x: float, y: float, said: str, anchor: str = "start") -> str:
    said = str(escape(show(said)))
    return f'<text x="{px(x)}" y="{px(y)}" fill="var(--faint)" text-anchor="{anchor}">{said}</text>'


def _number(value: float) -> str:
    """Three digits."""
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
