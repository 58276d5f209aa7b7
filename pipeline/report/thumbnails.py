"""Images of a dataset as they stand on cards and reports: read from their tars, made small."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from pipeline.base.pixels import put_on_paper
from pipeline.base.storage import Store
from pipeline.report.peaks import InImage
from pipeline.warehouse.images import (
    ImagePlace,
    find_places,
    make_thumbnail,
    read_primary_texts,
    show_image,
)
from pipeline.warehouse.layer_axes import say_strength

if TYPE_CHECKING:
    import duckdb

THUMBNAIL_PX = 96
"""Longer side of a thumbnail."""

WEBP_QUALITY = 70
RING_PX = 8
"""Radius of the ring around a place."""


@dataclass(frozen=True)
class Picture:
    """One image of the dataset."""

    example_id: int
    pixels: Image.Image | None
    """RGB, square, ``THUMBNAIL_PX`` wide, on white; None where a page has the image's address instead."""
    name: str
    """What it shows or says, for those who do not see it: its text, or else its key."""
    strength: float | None = None
    """Activation of the neuron that it stands beside, on the axis; null for one without spread."""
    axis: str = "sd"
    """``sd`` or ``z`` (``layer_axes``)."""
    is_at_rest: bool = False
    """The activation is 0, which stands for all that a run did not store: zero or below."""
    text: str | None = None
    """Its primary text: what a text tower reads of it; null without any."""
    is_labelled: bool = False
    """Whether it shows the neuron's concept, by the word that labels rest on."""
    shape: tuple[int, int] | None = None
    """Width and height of the image itself in the middle of the square."""
    peak: InImage | None = None
    """Where in the image the neuron answers most: a ring says so."""

    @property
    def image(self) -> Image.Image:
        """Its pixels, where they were read."""
        assert self.pixels is not None
        return self.pixels

    @property
    def is_marked(self) -> bool:
        """Whether a ring says where the neuron answers most."""
        return self.peak is not None

    @property
    def caption(self) -> str:
        """Its activation, for a person."""
        if self.is_at_rest and self.strength is not None:
            return "0 or below"
        return say_strength(self.strength, self.axis)


_NAMES = """
with wanted as (
    select unnest($ids::bigint[]) as example_id
)

select
    examples.example_id,
    coalesce(stimuli.text, stimuli.concept, examples.shard_key) as name,
    coalesce(', ' || stimuli.facet, '') as form,
from examples
inner join wanted using (example_id)
left join stimuli using (dataset, example_id)
where examples.dataset = $dataset
order by examples.example_id
"""


def read_pictures(
    connection: duckdb.DuckDBPyConnection, store: Store, dataset: str, ids: Iterable[int]
) -> Mapping[int, Picture]:
    """Thumbnails of the images of a dataset, by their id; of a tar that is gone, a card that names it.

    Args:
        connection: Of ``pipeline.connect``.
        store: The warehouse.
        dataset: Its name.
        ids: Which examples; each is read once.

    Raises:
        WarehouseError: A tar has changed.
    """
    named = name_pictures(connection, dataset, ids)
    places = find_places(connection, dataset, named)
    found = {}
    for example_id, picture in named.items():
        image, shape = _read_picture(store, places[example_id])
        found[example_id] = replace(picture, pixels=image, shape=shape)
    return found


def name_pictures(
    connection: duckdb.DuckDBPyConnection, dataset: str, ids: Iterable[int]
) -> dict[int, Picture]:
    """The same without their pixels: no tar is read.

    Args:
        connection: Of ``pipeline.connect``.
        dataset: Its name.
        ids: Which examples.
    """
    wanted = sorted(set(ids))
    rows = connection.execute(_NAMES, {"dataset": dataset, "ids": wanted}).fetchall()
    texts = read_primary_texts(connection, dataset, wanted)
    return {
        example_id: Picture(
            example_id, None, texts.get(example_id, name) + form, text=texts.get(example_id)
        )
        for example_id, name, form in rows
    }


def mark_place(picture: Picture, peak: InImage | None) -> Picture:
    """A picture with a ring around a place of its image, drawn if its pixels were read; else as it is.

    Args:
        picture: Of `read_pictures`.
        peak: Where.
    """
    if peak is None:
        return picture
    if picture.shape is None:
        return replace(picture, peak=peak)
    image = picture.image.copy()
    draw_ring(image, picture.shape, peak)
    return replace(picture, pixels=image, peak=peak)


def draw_ring(paper: Image.Image, shape: tuple[int, int], peak: InImage) -> None:
    """A ring around a place, seen on dark and on light.

    Args:
        paper: What is drawn on.
        shape: Width and height of the image in its middle.
        peak: Where in that image.
    """
    x = (paper.width - shape[0]) / 2 + peak.x_frac * shape[0]
    y = (paper.height - shape[1]) / 2 + peak.y_frac * shape[1]
    draw = ImageDraw.Draw(paper)
    for radius, line in ((RING_PX, "#000000"), (RING_PX - 1, "#ffffff"), (RING_PX - 2, "#000000")):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=line)


def _read_picture(store: Store, place: ImagePlace) -> tuple[Image.Image, tuple[int, int]]:
    """A thumbnail in a square, and the shape of the image in it."""
    inner = make_thumbnail(show_image(store, *place), THUMBNAIL_PX, is_square=False, is_filled=True)
    return put_on_paper(inner.convert("RGBA"), (THUMBNAIL_PX, THUMBNAIL_PX)), inner.size


def encode_webp(image: Image.Image) -> bytes:
    """A thumbnail as a small file."""
    file = io.BytesIO()
    image.save(file, "WEBP", quality=WEBP_QUALITY, method=4)
    return file.getvalue()
