"""Crops of the map of the world as images to show to a model: no name, no legend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pipeline.base.pixels import put_on_paper
from pipeline.stimuli.drawings import render_svg
from pipeline.stimuli.lettering import encode_png
from pipeline.stimuli.world import Country, World, load_world

Crop = Literal["country", "place"]
"""The country dark among grey land; or all land grey, so that only outlines and borders tell the place."""

_LAND, _BORDER, _CHOSEN = "#d0d0d0", "#ffffff", "#303030"
_POINT = 8
LEAST_FRAC, AROUND = 0.12, 1.5
"""A crop is square and shows so much of the map's width at least, and the country's longer side so often."""


def draw_crops(names: list[str], size_px: int) -> Iterator[tuple[str, Crop, bytes]]:
    """Each country that is on the map, in both ways: its name, which, and a PNG file.

    Args:
        names: Of concepts; those that are no country of the map are left out.
        size_px: Width and height.
    """
    world = load_world()
    known = {one.name: one for one in world.countries if one.is_concept}
    for name in names:
        if name in known:
            for crop in ("country", "place"):
                yield name, crop, draw_crop(world, known[name], crop, size_px)


def draw_crop(world: World, country: Country, crop: Crop, size_px: int) -> bytes:
    """A part of the world with a country in its middle: white sea, grey land, white borders; a PNG file."""
    x, y, side = crop_window(world, country)
    parts = [
        f'<path d="{one.path}" fill="{_LAND}"/>' for one in world.countries if one is not country
    ]
    fill = _CHOSEN if crop == "country" else _LAND
    if country.at is None:
        parts.append(f'<path d="{country.path}" fill="{fill}"/>')
    elif crop == "country":
        parts.append(
            f'<circle cx="{country.at[0]}" cy="{country.at[1]}" r="{_POINT}" fill="{fill}"/>'
        )
    image = render_svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{x} {y} {side} {side}">'
        f'<g fill-rule="evenodd" stroke="{_BORDER}" stroke-width="1.5">{"".join(parts)}</g></svg>',
        size_px,
    )
    return encode_png(put_on_paper(image, image.size))


def crop_window(world: World, country: Country) -> tuple[float, float, float]:
    """Left and top of what a crop shows, and its side, in units of the map."""
    left, top, right, bottom = country.box
    side = min(max(LEAST_FRAC * world.width, AROUND * max(right - left, bottom - top)), world.width)
    return (left + right - side) / 2, (top + bottom - side) / 2, side
