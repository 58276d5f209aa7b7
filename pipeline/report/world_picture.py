"""The bare map as an image, for showing to a model: no name, no legend, one country filled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.base.errors import ConfigError
from pipeline.base.pixels import put_on_paper
from pipeline.report.world import load_world
from pipeline.stimuli.drawings import render_svg

if TYPE_CHECKING:
    from PIL import Image

_LAND, _BORDER, _CHOSEN = "#d0d0d0", "#ffffff", "#303030"
_POINT = 8


def render_region(
    name: str, size_px: int, window_frac: float = 1.0, is_filled: bool = True
) -> Image.Image:
    """A square RGB image of the world or of a part around a country: white, land grey, the country dark.

    Args:
        name: The concept of a country on the map.
        size_px: Side of the image.
        window_frac: Side of what is seen, as a share of the world's width; with 1 it is the whole world, with
            white above and below.
        is_filled: Otherwise the country is grey too, and only the place of the window tells it.

    Raises:
        ConfigError: No country of that name is on the map (`pipeline.report.world`).
    """
    world = load_world()
    chosen = world.find(name)
    if chosen is None:
        raise ConfigError(
            f"No country on the map is {name!r}.",
            "Expected the concept of a country, as load_world().countries names it.",
        )
    side = world.width * window_frac
    left, top, right, bottom = chosen.box
    x, y = (left + right - side) / 2, (top + bottom - side) / 2
    if window_frac == 1:
        x, y = 0, (world.height - side) / 2
    parts = [
        f'<path d="{one.path}" fill="{_LAND}"/>' for one in world.countries if one is not chosen
    ]
    fill = _CHOSEN if is_filled else _LAND
    if chosen.at is None:
        parts.append(f'<path d="{chosen.path}" fill="{fill}"/>')
    elif is_filled:
        parts.append(f'<circle cx="{left}" cy="{top}" r="{_POINT}" fill="{fill}"/>')
    image = render_svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{x} {y} {side} {side}">'
        f'<g fill-rule="evenodd" stroke="{_BORDER}" stroke-width="1.5">{"".join(parts)}</g></svg>',
        size_px,
    )
    return put_on_paper(image, image.size)
