"""The pictures of one place: what the model saw, the map drawn over it, the crop around the maximum."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from pipeline.maps.where import Place

PANEL_PX = 208
"""Longer side of a panel."""

STRENGTH = 0.8
"""How much of a cell of the largest activation is colour; of the smallest nothing is."""

DIMMED = 0.6
"""Brightness of the grey image below the colours, which could not be told on white."""

MARK, MARK_EDGE = "#ffffff", "#000000"
"""The box around the peak's cell."""

_AROUND = 0.35
"""What a crop shows beyond the cell on each side, in cells."""
_LEAST = 0.2
"""The least share of the image that a crop shows."""

Scale = tuple[float, float]


def colour(shares: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Colours ``[..., 3]`` in 0..255 of shares of the scale, 0..1: matplotlib's inferno."""
    from matplotlib import colormaps

    return np.asarray(colormaps["inferno"](0.25 + 0.75 * shares))[..., :3] * 255


def share_of(values: np.ndarray[Any, Any], scale: Scale) -> np.ndarray[Any, Any]:
    """Places on the scale, 0..1; what is below it is 0."""
    low, high = scale
    return ((values - low) / max(high - low, 1e-12)).clip(0, 1)


def draw_panels(place: Place, scale: Scale) -> tuple[Image.Image, Image.Image, Image.Image | None]:
    """Seen, map over it, and crop; no crop where the peak is in no cell. RGB, at most `PANEL_PX` wide and high.

    Args:
        place: Of an image.
        scale: Activations of the first and the last colour.
    """
    assert place.image is not None
    seen = place.image.copy()
    seen.thumbnail((PANEL_PX, PANEL_PX), Image.Resampling.LANCZOS)
    marked, over = seen.copy(), draw_over(place, seen, scale)
    box = find_cell(place)
    if box is None:
        return marked, over, None
    mark_cell(marked, box)
    mark_cell(over, box)
    return marked, over, _crop(place.image, box)


def draw_over(place: Place, seen: Image.Image, scale: Scale) -> Image.Image:
    """The image in dim grey with its map over it: cells as they are, none smoothed."""
    grid = place.map.grid
    grey = DIMMED * np.asarray(seen.convert("L").convert("RGB"), np.float64)
    if grid is None:
        return Image.fromarray(grey.astype(np.uint8))
    height, width = grey.shape[:2]
    rows = np.arange(height) * grid.shape[0] // height
    columns = np.arange(width) * grid.shape[1] // width
    shares = share_of(grid, scale)[rows[:, None], columns]
    weight = (STRENGTH * shares)[..., None]
    return Image.fromarray((grey * (1 - weight) + colour(shares) * weight).round().astype(np.uint8))


def find_cell(place: Place) -> tuple[float, float, float, float] | None:
    """Left, top, right and bottom of the peak's cell, as shares of what the model saw."""
    cell, grid = place.map.cell, place.map.layer.grid
    if cell is None or grid is None:
        return None
    (row, column), (rows, columns) = cell, grid
    return column / columns, row / rows, (column + 1) / columns, (row + 1) / rows


def mark_cell(image: Image.Image, box: tuple[float, float, float, float]) -> None:
    """Draw a box of two lines, to be seen on dark and on light."""
    left, top, right, bottom = (
        round(share * side) for share, side in zip(box, (*image.size, *image.size), strict=True)
    )
    draw = ImageDraw.Draw(image)
    for inset, line in ((0, MARK_EDGE), (1, MARK), (2, MARK), (3, MARK_EDGE)):
        draw.rectangle(
            (left + inset, top + inset, right - 1 - inset, bottom - 1 - inset), outline=line
        )


def _crop(image: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """The cell with some of what is around it, made as large as a panel."""
    sides = []
    for first, last, length in (
        (box[0], box[2], image.width),
        (box[1], box[3], image.height),
    ):
        half = max((last - first) * (0.5 + _AROUND), _LEAST / 2)
        middle = (first + last) / 2
        sides.append((max(0.0, middle - half) * length, min(1.0, middle + half) * length))
    (left, right), (top, bottom) = sides
    zoom = PANEL_PX / max(right - left, bottom - top)
    size = (round((right - left) * zoom), round((bottom - top) * zoom))
    return image.resize(size, Image.Resampling.LANCZOS, (left, top, right, bottom))
