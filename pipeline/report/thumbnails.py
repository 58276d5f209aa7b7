"""Images of a dataset as they stand on cards and reports: read from their tars, made small."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from pipeline.base.storage import Store
from pipeline.warehouse.images import (
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


@dataclass(frozen=True)
class Picture:
    """One image of the dataset."""

    example_id: int
    image: Image.Image
    """RGB, square, ``THUMBNAIL_PX`` wide, on white."""
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
    wanted = sorted(set(ids))
    rows = connection.execute(_NAMES, {"dataset": dataset, "ids": wanted}).fetchall()
    texts = read_primary_texts(connection, dataset, wanted)
    places = find_places(connection, dataset, wanted)
    return {
        example_id: Picture(
            example_id,
            make_thumbnail(show_image(store, *places[example_id]), THUMBNAIL_PX, is_filled=True),
            texts.get(example_id, name) + form,
            text=texts.get(example_id),
        )
        for example_id, name, form in rows
    }


def encode_webp(image: Image.Image) -> bytes:
    """A thumbnail as a small file."""
    file = io.BytesIO()
    image.save(file, "WEBP", quality=WEBP_QUALITY, method=4)
    return file.getvalue()
