"""All images of a page in one file for each size: a sheet of cells, which a page shows one by one."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from PIL import Image

from pipeline.report.peaks import InImage
from pipeline.warehouse.find import Neuron
from pipeline.web.strips import SIDE_PX as STRIP_PX

COLUMNS = 15
"""Cells beside each other: three strips of a card."""

LARGE_PX = 200
"""Images with a longer side have a sheet of one column."""

QUALITIES = (70, 58, 46, 34, 22, 12)
"""Of WebP, best first: the first at which a page is within its bound."""

_METHOD = 1
"""Of WebP: a tenth larger than the best, in a third of its time."""


class Shown(NamedTuple):
    """An image in a cell."""

    dataset: str
    example_id: int
    ring: InImage | None = None


Draw = Callable[[Shown, int], Image.Image | None]
"""The pixels of an image in a square of so many px; None for one that cannot be shown."""


@dataclass
class Sheet:
    """Cells of one size."""

    side_px: int
    cells: dict[tuple[Shown, ...], tuple[int, int]] = field(default_factory=dict)
    """Column and row of images beside each other."""
    _next: int = 0

    @property
    def columns(self) -> int:
        """Cells beside each other."""
        return COLUMNS if self.side_px <= LARGE_PX else 1

    def place(self, images: tuple[Shown, ...]) -> tuple[int, int]:
        """Column and row of where images begin; the same ones have the same place."""
        if images not in self.cells:
            left = self.columns - self._next % self.columns
            if len(images) > left:
                self._next += left
            self.cells[images] = (self._next % self.columns, self._next // self.columns)
            self._next += len(images)
        return self.cells[images]

    def draw(self, draw: Draw) -> Image.Image:
        """All cells, on white."""
        side = self.side_px
        rows = -(-self._next // self.columns)
        paper = Image.new("RGB", (self.columns * side, rows * side), "#ffffff")
        for images, (column, row) in self.cells.items():
            for number, shown in enumerate(images):
                image = draw(shown, side)
                if image is not None:
                    paper.paste(image, ((column + number) * side, row * side))
        return paper


class Sheets:
    """The sheets of one page."""

    def __init__(
        self, name: str, strips: Mapping[Neuron, Sequence[int]], is_shown: bool = True
    ) -> None:
        """Args:
        name: Of the page's file without its ending.
        strips: Of every neuron that a strip can be asked of, its strongest images, best first.
        is_shown: Whether there are images at all.
        """
        self._name, self._strips, self._is_shown = name, strips, is_shown
        self._sheets: dict[int, Sheet] = {}

    def place(self, side_px: int, images: Sequence[Shown]) -> str:
        """The address of images beside each other, relative to the page."""
        if not self._is_shown:
            return f"#cell=0,0,{len(images)},{COLUMNS}"
        sheet = self._sheets.setdefault(side_px, Sheet(side_px))
        column, row = sheet.place(tuple(images))
        return f"{self._name}-{side_px}.webp#cell={column},{row},{len(images)},{sheet.columns}"

    def place_strip(self, neuron: Neuron, count: int) -> str:
        """The same of a neuron's strongest images."""
        ids = self._strips.get(neuron, ())[:count]
        images = [Shown(neuron.dataset, example_id) for example_id in ids]
        images += [Shown(neuron.dataset, -1)] * (count - len(images))
        return self.place(STRIP_PX, images)

    def images(self) -> Iterator[tuple[Shown, int]]:
        """What is on them, with the side of its square."""
        for side_px, sheet in self._sheets.items():
            yield from ((shown, side_px) for images in sheet.cells for shown in images)

    def files(self, draw: Draw, most_bytes: int) -> dict[str, bytes]:
        """The files, by name; together within a bound, or as small as they can be.

        Args:
            draw: Of images.
            most_bytes: The bound.
        """
        papers = {
            f"{self._name}-{side}.webp": sheet.draw(draw) for side, sheet in self._sheets.items()
        }
        files: dict[str, bytes] = {}
        for quality in QUALITIES:
            files = {name: _encode(paper, quality) for name, paper in papers.items()}
            if sum(map(len, files.values())) <= most_bytes:
                break
        return files


def _encode(paper: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    paper.save(file, "WEBP", quality=quality, method=_METHOD)
    return file.getvalue()
