"""Any image of a dataset: where it lies, its bytes with proof that it is the same, its thumbnail, its text."""

from __future__ import annotations

import hashlib
import io
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.display import show
from pipeline.base.errors import WarehouseError
from pipeline.base.places import open_place
from pipeline.base.storage import Store
from pipeline.base.warn import warn_once
from pipeline.tables.datasets import full_url

if TYPE_CHECKING:  # Pillow and NumPy only where something is drawn
    import duckdb
    from PIL import Image

IMAGE_COLUMNS = "shards.url, examples.image_offset, examples.image_bytes, examples.image_sha256"
"""What a query selects for `read_image`, from the views ``shards`` and ``examples``."""


class ImagePlace(NamedTuple):
    """Where an image lies: the arguments of `read_image`."""

    url: str
    offset: int
    size: int
    sha256: str


_PLACES = f"""
    select examples.example_id, {IMAGE_COLUMNS}
    from raw_examples as examples
    inner join shards using (dataset, shard_ordinal)
    where examples.dataset = $dataset and list_contains($ids::bigint[], examples.example_id)
"""
"""Not of the view ``examples``: it looks up copies too, which takes longer than all else."""


def find_places(
    connection: duckdb.DuckDBPyConnection, dataset: str, ids: Iterable[int]
) -> dict[int, ImagePlace]:
    """Where images of a dataset lie, by their id.

    Args:
        connection: Of ``pipeline.connect``.
        dataset: Its name.
        ids: Which examples.
    """
    rows = connection.execute(_PLACES, {"dataset": dataset, "ids": list(ids)}).fetchall()
    return {example_id: ImagePlace(*place) for example_id, *place in rows}


def read_image(store: Store, url: str, offset: int, size: int, sha256: str) -> bytes:
    """The file of one image, as it was indexed.

    Args:
        store: The warehouse; ``url`` may be relative to it.
        url: ``shards.url`` of the image's shard.
        offset: ``examples.image_offset``, bytes.
        size: ``examples.image_bytes``, bytes.
        sha256: ``examples.image_sha256``.

    Raises:
        WarehouseError: The tar is gone, or there are other bytes in it now.
    """
    return _check(url, offset, _fetch(store, url, offset, size), sha256)


def show_image(store: Store, url: str, offset: int, size: int, sha256: str) -> bytes:
    """As `read_image`, for a picture: of a tar that is gone, a grey card that names it (a PNG file).

    Raises:
        WarehouseError: There are other bytes in the tar now.
    """
    try:
        data = _fetch(store, url, offset, size)
    except WarehouseError as error:
        warn_once(f"{error.message} Grey cards stand for its images. {error.hint}")
        return _draw_card(f"not there: {url.rstrip('/').rpartition('/')[2]}")
    return _check(url, offset, data, sha256)


def make_thumbnail(
    data: bytes, side_px: int, *, is_square: bool = True, is_filled: bool = False
) -> Image.Image:
    """An image file in small, upright, on white paper, RGB.

    Args:
        data: The file.
        side_px: Its longer side, in pixels.
        is_square: In the middle of a square; else of its own shape.
        is_filled: Smaller images are made larger.

    Raises:
        ExampleError: It cannot be decoded.
    """
    from PIL import Image, ImageOps

    from pipeline.base.pixels import open_upright, put_on_paper

    upright, size = open_upright(data), (side_px, side_px)
    if is_filled:
        upright = ImageOps.contain(upright, size, Image.Resampling.LANCZOS)
    else:
        upright.thumbnail(size)
    return put_on_paper(upright, size if is_square else upright.size)


def _draw_card(text: str) -> bytes:
    """A grey card with a text, as a PNG file; its font has Latin letters only."""
    from PIL import Image, ImageDraw, ImageFont

    card = Image.new("RGB", (240, 240), "#e4e8ec")
    plain = "".join(c if ord(c) < 0x250 else "?" for c in show(text))
    lines = "\n".join(textwrap.wrap(plain, 16)[:7])
    ImageDraw.Draw(card).text((12, 12), lines, "#1b1f24", ImageFont.load_default(26))
    file = io.BytesIO()
    card.save(file, "PNG")
    return file.getvalue()


def _fetch(store: Store, url: str, offset: int, size: int) -> bytes:
    fs, path = open_place(full_url(store, url))
    try:
        return bytes(fs.cat_file(path, start=offset, end=offset + size))
    except Exception as error:  # object stores have errors of their own
        raise WarehouseError(
            f"The shard {url} cannot be read: {error}.",
            "Images are never copied: pictures need the tars where they were when ingested. If they lie "
            "elsewhere now: neurons move-shards OLD NEW",
        ) from error


def _check(url: str, offset: int, data: bytes, sha256: str) -> bytes:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WarehouseError(
            f"The shard {url} has changed since it was indexed: at byte {offset:,} lies another "
            "image, or none.",
            "Put the same tar back, or ingest the changed data under another --dataset name: "
            "numbers and labels here are of the images that were indexed.",
        )
    return data


def read_primary_texts(
    connection: duckdb.DuckDBPyConnection, dataset: str, ids: Iterable[int]
) -> dict[int, str]:
    """The primary text of each of these examples that has one (view ``primary_texts``).

    Asked for by their ids, which DuckDB looks for before it sorts texts; through a join it sorts all.

    Args:
        connection: Of ``pipeline.connect``.
        dataset: Its name.
        ids: Which examples.
    """
    rows = connection.execute(
        """
        select example_id, text from primary_texts
        where dataset = $dataset and list_contains($ids::bigint[], example_id)
        """,
        {"dataset": dataset, "ids": list(ids)},
    ).fetchall()
    return dict(rows)
