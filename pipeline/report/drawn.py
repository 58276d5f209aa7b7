"""What a neuron drew, for cards and the explorer: made by the model, no images of the dataset."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import duckdb
from PIL import Image

from pipeline.base.errors import WarehouseError
from pipeline.base.pixels import put_on_paper
from pipeline.report.asking import Asker
from pipeline.report.card_queries import THESE
from pipeline.warehouse.files import warehouse_uri

DRAWN_COUNT = 12
"""Pictures that are shown at most."""


_DRAWN = f"""
with latest as (
    select
        unit, facet, parametrisation, number, activation_sd, dataset_max_sd, facet_probability,
        url, settings,
        max((steps, width_px, image_count, settings)) over (
            partition by unit, facet, parametrisation
        ) as chosen,
    from visualisations
    where {THESE}
)

select * exclude (settings, chosen)
from latest
where settings = struct_extract_at(chosen, 4)
qualify
    row_number() over (
        partition by unit order by facet is not null, facet, parametrisation, number
    ) <= {DRAWN_COUNT}
order by unit, facet is not null, facet, parametrisation, number
"""


@dataclass(frozen=True)
class DrawnPicture:
    """A row of ``visualisations``, and its file. Of several settings those with most steps are shown."""

    facet: str | None
    parametrisation: str
    number: int
    activation_sd: float | None
    dataset_max_sd: float | None
    facet_probability: float | None
    url: str
    data: bytes = b""
    """A PNG file."""

    @property
    def uri(self) -> str:
        """The picture as the address of itself."""
        return "data:image/png;base64," + base64.b64encode(self.data).decode()

    @property
    def name(self) -> str:
        """How it was drawn, for those who do not see it too."""
        return self.facet or self.parametrisation

    @property
    def caption(self) -> str:
        """How strong the answer is."""
        return "" if self.activation_sd is None else f"{self.activation_sd:.1f} SD"

    def image(self, side_px: int) -> Image.Image:
        """On white paper, RGB, square."""
        with Image.open(io.BytesIO(self.data)) as found:
            whole = found.convert("RGBA")
        share = side_px / max(whole.size)
        size = (max(round(whole.width * share), 1), max(round(whole.height * share), 1))
        return put_on_paper(whole.resize(size, Image.Resampling.BICUBIC), (side_px, side_px))


def describe_drawn(pictures: Sequence[DrawnPicture]) -> str:
    """What pictures are that a neuron drew, for a person: they are never shown without it."""
    if not pictures:
        return "It was not asked to: neurons visualise"
    most = pictures[0].dataset_max_sd
    beside = (
        "" if most is None else f" An image of the dataset excites it by {most:.1f} SD at most."
    )
    return (
        "Made by the model, no images of the dataset: noise that was climbed until the neuron answered "
        f"strongly.{beside}"
    )


def read_drawn(ask: Asker) -> dict[int, tuple[DrawnPicture, ...]]:
    """What neurons drew, by unit, plain pictures first; only those that were asked to.

    Args:
        ask: About ``units`` of a layer.

    Raises:
        WarehouseError: A picture is gone.
    """
    rows = ask.by_unit(_DRAWN, DrawnPicture)
    if not rows:
        return {}
    places = {row.url: warehouse_uri(row.url) for of_unit in rows.values() for row in of_unit}
    try:
        found = dict(
            ask.connection.execute(
                "select filename, content from read_blob($places)",
                {"places": list(places.values())},
            ).fetchall()
        )
    except duckdb.Error as error:
        raise WarehouseError(
            f"A picture that the neuron drew cannot be read: {error}.",
            "Draw it again with: neurons repair",
        ) from error
    return {
        unit: tuple(replace(row, data=found[places[row.url]]) for row in of_unit)
        for unit, of_unit in rows.items()
    }
