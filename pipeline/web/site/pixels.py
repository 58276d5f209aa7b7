"""The pixels of images that pages show: each is decoded once, by whichever process, and kept in files.

A file holds some of them, uncompressed, 43 kB each, as long as the site is being made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from pipeline.base.site_settings import ImagesShown
from pipeline.base.storage import Store
from pipeline.report.thumbnails import draw_ring
from pipeline.warehouse.images import ImagePlace
from pipeline.web.site.sheets import Shown
from pipeline.web.thumbs import open_small

SIDE_PX, SMALL_PX = 96, 72
"""Of the squares that an image stands in; others are made of the large one."""

_BLUR_FRAC = 9 / SIDE_PX
"""Of a square's side: the radius of the blur."""

_KEPT = 2_000
"""Squares that a process keeps, as they stand on sheets."""

_ROW = np.dtype(
    [
        ("example_id", "<i8"),
        ("shape", "u1", (2,)),
        *((f"{side}", "u1", (side, side, 3)) for side in (SIDE_PX, SMALL_PX)),
    ]
)

Square = tuple[Image.Image, tuple[int, int]]
"""An image on the large square, and its own width and height there; 0 and 0 of one that cannot be shown."""


def read_square(
    store: Store, place: ImagePlace, images: ImagesShown, side_px: int = SIDE_PX
) -> Square:
    """An image on a square.

    Args:
        store: The warehouse.
        place: Where it lies.
        images: ``show``, or ``blur``: nobody can tell what it is.
        side_px: Of the square.
    """
    paper, shape, is_whole = open_small(store, place, side_px)
    if not is_whole:
        return paper, (0, 0)
    if images == "blur":
        paper = paper.filter(ImageFilter.GaussianBlur(_BLUR_FRAC * side_px))
    return paper, shape


def write_squares(
    store: Store, places: Mapping[int, ImagePlace], images: ImagesShown, path: Path
) -> None:
    """Decode images, and keep them in a file.

    Args:
        store: The warehouse.
        places: Where they lie, by id.
        images: ``show`` or ``blur``.
        path: The file; it is there when it is whole.
    """
    rows = np.zeros(len(places), _ROW)
    by_place = sorted(places.items(), key=lambda item: (item[1], item[0]))
    for row, (example_id, place) in zip(rows, by_place, strict=True):
        paper, shape = read_square(store, place, images)
        row["example_id"], row["shape"] = example_id, shape
        for side in (SIDE_PX, SMALL_PX):
            row[f"{side}"] = np.asarray(_resize(paper, side))
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.save(file, rows)
    temporary.replace(path)


Read = Callable[[str, Collection[int], int], Mapping[int, Square]]
"""Reads images of a dataset, given by their ids, on squares of so many px; those that there are."""


class Squares:
    """Images as they stand on sheets."""

    def __init__(self, files: Mapping[str, Iterable[Path]], read: Read) -> None:
        """Args:
        files: Of `write_squares`, by dataset.
        read: Reads images that are in none of them, or too small there.
        """
        self._places: dict[tuple[str, int], tuple[np.ndarray, int]] = {}
        for dataset, paths in files.items():
            for path in paths:
                rows = np.load(path, mmap_mode="r")
                ids = np.array(rows["example_id"])
                self._places |= {(dataset, int(i)): (rows, n) for n, i in enumerate(ids)}
        self._read = read
        self._lately: dict[tuple[str, int, int], Square | None] = {}
        self.draw = lru_cache(_KEPT)(self._draw)

    def foresee(self, images: Iterable[tuple[Shown, int]]) -> None:
        """Read what a page will show and no file has, all at once.

        Args:
            images: With the side of their squares.
        """
        large = [key for key in self._lately if key[2] > SIDE_PX]  # no other page shows them
        for key in self._lately.copy() if len(self._lately) > _KEPT else large:
            del self._lately[key]
        lost: dict[tuple[str, int], set[int]] = {}
        for shown, side_px in images:
            key = self._key(shown, side_px)
            if side_px > SIDE_PX or (key[:2] not in self._places and key not in self._lately):
                lost.setdefault((shown.dataset, key[2]), set()).add(shown.example_id)
        for (dataset, side_px), ids in lost.items():
            read = self._read(dataset, ids, side_px)
            self._lately |= {(dataset, one, side_px): read.get(one) for one in ids}

    def _key(self, shown: Shown, side_px: int) -> tuple[str, int, int]:
        return shown.dataset, shown.example_id, max(side_px, SIDE_PX)

    def _draw(self, shown: Shown, side_px: int) -> Image.Image | None:
        """A square of a sheet; None if there is no such image."""
        square = self._find(shown, side_px)
        if square is None:
            return None
        paper, shape = square
        if shown.ring is not None and any(shape):
            paper = paper.copy()
            width, height = (side * side_px // max(SIDE_PX, side_px) for side in shape)
            draw_ring(paper, (width, height), shown.ring)
        return paper

    def _find(self, shown: Shown, side_px: int) -> Square | None:
        kept = self._places.get((shown.dataset, shown.example_id))
        if kept is None or side_px > SIDE_PX:
            key = self._key(shown, side_px)
            if key not in self._lately:
                self.foresee([(shown, side_px)])
            square = self._lately[key]
            return square and (_resize(square[0], side_px), square[1])
        rows, number = kept
        row = rows[number]
        width, height = (int(side) for side in row["shape"])
        large_or_small = side_px if side_px in (SIDE_PX, SMALL_PX) else SIDE_PX
        paper = Image.fromarray(np.array(row[f"{large_or_small}"]))
        return _resize(paper, side_px), (width, height)


def _resize(paper: Image.Image, side_px: int) -> Image.Image:
    if paper.width == side_px:
        return paper
    return paper.resize((side_px, side_px), Image.Resampling.LANCZOS)
