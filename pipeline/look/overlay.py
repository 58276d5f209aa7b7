"""Small pictures: a neuron's map over the image, the region that is suspected, and the image without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from pipeline.maps.panels import draw_over, find_cell, mark_cell
from pipeline.maps.where import Place

if TYPE_CHECKING:
    from pipeline.look.excited import Excited
    from pipeline.look.look import Look
    from pipeline.maps.seen import SeenImage


def draw_map(seen: SeenImage, neuron: Excited, side_px: int) -> Image.Image | None:
    """Where a neuron answers, on a scale of its own from zero to its largest activation here; a box marks that.

    None for a layer with one activation an image.
    """
    if neuron.map is None:
        return None
    image = shrink(seen.image, side_px)
    place = Place("", "", neuron.map, image, seen.box)
    grid = neuron.map.grid
    if grid is None:
        return image
    low, high = float(grid.min()), float(grid.max())
    over = draw_over(place, image, (0.0, high) if high > 0 else (low, high))
    box = find_cell(place)
    if box is not None:
        mark_cell(over, box)
    return over


def draw_region(look: Look, side_px: int) -> list[tuple[Image.Image, str]]:
    """The image with the region marked, the region alone, and the image without it; each with a title."""
    suspicion = look.suspicion
    region = suspicion.region
    if region is None or suspicion.level == "none":
        return []
    marked = shrink(look.seen.image, side_px)
    mark_cell(marked, region.box)
    return [
        (marked, "the part"),
        (shrink(region.alone, side_px), f"alone: {region.answer}"),
        (shrink(region.without, side_px), f"without it: {region.answer_without}"),
    ]


def shrink(image: Image.Image, side_px: int) -> Image.Image:
    """An image that fits into a square; a copy."""
    factor = side_px / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS)
