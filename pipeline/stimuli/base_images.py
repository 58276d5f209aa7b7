"""Images from anywhere, to write on or to redraw: a folder, a dataset of the warehouse, or drawings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline.base.errors import SourceError
from pipeline.base.pixels import open_upright
from pipeline.base.stimulus_settings import PictureOptions
from pipeline.base.storage import Store
from pipeline.sources.layouts.folder import iter_folder
from pipeline.sources.texts.source_text import SourceText, make_text
from pipeline.sources.writer import SourceExample
from pipeline.stimuli.pictures import PACKAGE_SETS, iter_pictures
from pipeline.stimuli.typographic import BaseImage
from pipeline.warehouse.connect import connect
from pipeline.warehouse.images import IMAGE_COLUMNS, read_image
from pipeline.warehouse.left_out import list_left_out, refuse_left_out

if TYPE_CHECKING:
    from PIL import Image


def iter_images(source: str, warehouse: str) -> Iterator[BaseImage]:
    """Every image of a source, in a fixed order.

    Args:
        source: ``dataset:NAME`` of the warehouse; the name of a drawing set of the packages; or a folder,
            whose images show what the subfolder they lie in is called (none at the top).
        warehouse: Where the dataset is.

    Raises:
        SourceError: There is no such source, or it has no image.
    """
    if source.startswith("dataset:"):
        yield from _of_dataset(source.removeprefix("dataset:"), warehouse)
    elif source in PACKAGE_SETS:
        yield from map(_of_example, iter_pictures(PictureOptions((source,))))
    else:
        yield from map(_of_example, iter_folder(source))


def _of_example(item: SourceExample) -> BaseImage:
    folder = item.key.rpartition("/")[0].rpartition("/")[2]
    stimulus = item.stimulus or {"concept": folder or None}
    return BaseImage(
        key=item.key,
        image=partial(_open, item.image),
        concept=_text(stimulus.get("concept")),
        category=_text(stimulus.get("category")),
        facet=_text(stimulus.get("facet")) or "photo",
        texts=item.texts or _named(stimulus.get("concept")),
        url=item.url,
    )


def _of_dataset(dataset: str, warehouse: str) -> Iterator[BaseImage]:
    """Images of a registered dataset, each once; its stimuli know what they show."""
    with connect(warehouse) as connection:
        refuse_left_out(list_left_out(connection), dataset)
        rows = connection.execute(
            f"""
            select
                {IMAGE_COLUMNS}, examples.shard_key, examples.source_url,
                stimuli.concept, stimuli.category, stimuli.facet,
            from examples
            inner join shards using (dataset, shard_ordinal)
            left join stimuli using (dataset, example_id)
            where examples.dataset = $dataset and examples.duplicate_of is null
            order by examples.example_id
            """,
            {"dataset": dataset},
        ).fetchall()
    if not rows:
        raise SourceError(
            f"There is no dataset {dataset!r} in {warehouse}, or it has no image.",
            "See them with: neurons sql 'select dataset, count(*) from shards group by all'",
        )
    store = Store(warehouse)
    for *place, key, source_url, concept, category, facet in rows:
        yield BaseImage(
            key=key,
            image=partial(_open, partial(read_image, store, *place)),
            concept=concept,
            category=category,
            facet=facet or "photo",
            texts=_named(concept),
            url=source_url,
        )


def _named(concept: Any) -> list[SourceText]:
    return [make_text(str(concept), "en")] if concept else []


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _open(image: Any) -> Image.Image:
    return open_upright(image if isinstance(image, bytes) else image()).convert("RGB")
