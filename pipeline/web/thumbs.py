"""Images of the dataset in small, made once and kept on disk within a bound.

They are read by byte range from the tars that the warehouse knows; nothing that a request says is a path.
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from pipeline.base.errors import ExampleError, WarehouseError
from pipeline.base.pixels import put_on_paper
from pipeline.base.storage import Store
from pipeline.report.peaks import InImage
from pipeline.report.thumbnails import draw_ring, encode_webp
from pipeline.warehouse.images import ImagePlace, make_thumbnail, show_image

if TYPE_CHECKING:
    from PIL import Image

SIZES_PX = (48, 72, 96, 144, 192, 384, 768)
"""Sides that can be asked for."""

MAX_BYTES = 1_000_000_000
"""Most that is kept on disk."""


class Thumbnails:
    """Small images of one warehouse."""

    def __init__(
        self, store: Store, folder: Path | None = None, max_bytes: int = MAX_BYTES
    ) -> None:
        """Args:
        store: The warehouse.
        folder: Where they are kept; the user's cache by default.
        max_bytes: Most of them; the ones that were not asked for longest go first.
        """
        self._store = store
        self._folder = folder or user_cache_path("neurons") / "thumbnails"
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._bytes: int | None = None

    @property
    def folder(self) -> Path:
        """Where they are kept."""
        return self._folder

    def read(self, place: ImagePlace, size_px: int, ring: InImage | None = None) -> bytes:
        """One image, a WebP file; of a tar that is gone, a grey card that names it.

        Args:
            place: Where it lies.
            size_px: Side of the square that it stands in, of `SIZES_PX`.
            ring: Where to draw a ring.
        """
        mark = "" if ring is None else f"{ring.x_frac:.3f}-{ring.y_frac:.3f}"
        digest = hashlib.sha256(f"{place.sha256} {size_px} {mark}".encode()).hexdigest()
        path = self._folder / digest[:2] / f"{digest}.webp"
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            image, is_whole = self.draw(place, size_px, ring)
            data = encode_webp(image)
            if is_whole:
                self._keep(path, data)
        return data

    def draw(
        self, place: ImagePlace, size_px: int, ring: InImage | None = None
    ) -> tuple[Image.Image, bool]:
        """Its pixels, RGB and square; and whether they are the image's own.

        Args:
            place: Where it lies.
            size_px: Side of the square.
            ring: Where to draw a ring.
        """
        paper, shape, is_whole = open_small(self._store, place, size_px)
        if ring is not None and is_whole:
            draw_ring(paper, shape, ring)
        return paper, is_whole

    def _keep(self, path: Path, data: bytes) -> None:
        """Write it; a full disk or a folder that cannot be written only costs time."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
            temporary.write_bytes(data)
            temporary.replace(path)
        except OSError:
            return
        with self._lock:
            if self._bytes is None:
                self._bytes = sum(size for _, size, _ in self._list())
            else:
                self._bytes += len(data)
            if self._bytes > self._max_bytes:
                self._shrink()

    def _list(self) -> list[tuple[float, int, Path]]:
        """What is kept: when it was asked for last, bytes, file."""
        found = []
        for path in self._folder.glob("*/*.webp"):
            try:
                told = path.stat()
            except OSError:
                continue
            found.append((told.st_mtime, told.st_size, path))
        return found

    def _shrink(self) -> None:
        """Down to nine tenths of the bound."""
        kept = sorted(self._list())
        total = sum(size for _, size, _ in kept)
        for _, size, path in kept:
            if total <= 0.9 * self._max_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size
        self._bytes = total


def open_small(
    store: Store, place: ImagePlace, size_px: int
) -> tuple[Image.Image, tuple[int, int], bool]:
    """An image on a square, RGB; its own width and height there; and whether these are its pixels.

    Of a tar that is gone or has changed it is a grey card.

    Args:
        store: The warehouse.
        place: Where it lies.
        size_px: Side of the square.
    """
    try:
        data, is_whole = show_image(store, *place), True
        if hashlib.sha256(data).hexdigest() != place.sha256:
            is_whole = False  # the grey card
        inner = make_thumbnail(data, size_px, is_square=False, is_filled=True)
    except (WarehouseError, ExampleError) as error:
        return _grey(size_px, error), (size_px, size_px), False
    return put_on_paper(inner.convert("RGBA"), (size_px, size_px)), inner.size, is_whole


def _grey(size_px: int, error: Exception) -> Image.Image:
    """A card for an image that cannot be shown."""
    from PIL import Image, ImageDraw

    card = Image.new("RGB", (size_px, size_px), "#e4e8ec")
    ImageDraw.Draw(card).text((4, 4), "cannot be\nread", "#1b1f24")
    return card
