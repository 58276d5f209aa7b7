"""A neuron's strongest images beside each other, in one file: lists have many neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.report.thumbnails import encode_webp
from pipeline.warehouse.find import Neuron
from pipeline.warehouse.images import find_places
from pipeline.web.thumbs import Thumbnails

if TYPE_CHECKING:
    import duckdb

SIDE_PX = 72

_TOP = """
select example_id
from top_examples
where
    dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
    and polarity = 'positive' and example_rank <= $count
order by example_rank
"""


def draw_strip(
    connection: duckdb.DuckDBPyConnection, images: Thumbnails, neuron: Neuron, count: int
) -> bytes:
    """A WebP file, ``count`` squares wide; where there are fewer images it stays white.

    Args:
        connection: A cursor.
        images: Where they come from.
        neuron: Whose.
        count: How many.
    """
    import io

    from PIL import Image

    rows = connection.execute(_TOP, {**neuron.parameters, "count": count}).fetchall()
    ids = [example_id for (example_id,) in rows]
    places = find_places(connection, neuron.dataset, ids)
    paper = Image.new("RGB", (SIDE_PX * count, SIDE_PX), "#ffffff")
    for column, example_id in enumerate(ids):
        data = images.read(places[example_id], SIDE_PX)
        with Image.open(io.BytesIO(data)) as image:
            paper.paste(image, (SIDE_PX * column, 0))
    return encode_webp(paper)
