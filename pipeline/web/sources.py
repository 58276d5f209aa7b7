"""Where the images on a page come from, as far as the warehouse knows: for whoever shows them to others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.report.asking import Asker
from pipeline.report.card import Card
from pipeline.report.thumbnails import Picture

if TYPE_CHECKING:
    import duckdb

DRAWINGS = {
    "openmoji": "OpenMoji, openmoji.org, CC BY-SA 4.0",
    "openmoji-black": "OpenMoji, openmoji.org, CC BY-SA 4.0",
    "noto-emoji-glyphs": "Noto Emoji, SIL Open Font License 1.1",
}
"""Who drew the pictures of a set, and under which licence it is passed on."""


class Source(NamedTuple):
    """What is known of an image."""

    example_id: int
    shard: str
    shard_key: str
    name: str
    """What stands for it where it is not seen."""
    attribution: str | None
    """Who made it and under which licence, as WIT has it."""
    page_title: str | None
    """Of the article that it stood in."""
    source_url: str | None
    drawing_set: str | None

    @property
    def drawn_by(self) -> str | None:
        """Of a picture of a set, who drew that."""
        return self.drawing_set and DRAWINGS.get(self.drawing_set, f"drawings: {self.drawing_set}")

    @property
    def link(self) -> str | None:
        """Its address, if a browser may be sent there."""
        url = self.source_url
        return url if url and url.startswith(("https://", "http://")) else None


_SOURCES = """
with wanted as (
    select unnest($ids::bigint[]) as example_id
),

said as (
    select
        example_id,
        min(text) filter (where text_kind = 'attribution') as attribution,
        min(page_title) as page_title,
    from stg_texts
    semi join wanted using (example_id)
    where dataset = $dataset
    group by example_id
)

select
    example_id, shard, shard_key,
    coalesce(primary_texts.text, stimuli.text, stimuli.concept, shard_key) as name,
    attribution, said.page_title, source_url, drawing_set,
from examples
semi join wanted using (example_id)
left join said using (example_id)
left join primary_texts using (dataset, example_id)
left join stimuli using (dataset, example_id)
where examples.dataset = $dataset
order by example_id
"""


def read_sources(
    connection: duckdb.DuckDBPyConnection, dataset: str, ids: Iterable[int]
) -> dict[int, Source]:
    """What is known of some images, by their ids.

    Args:
        connection: Of ``pipeline.connect``.
        dataset: Whose images.
        ids: Which.
    """
    ask = Asker(connection, {"dataset": dataset, "ids": sorted(set(ids))})
    return {source.example_id: source for source in ask(_SOURCES, Source)}


def card_images(card: Card) -> set[int]:
    """The images that the page of a neuron shows of its own."""
    shown: list[Sequence[Picture]] = [card.top, card.bottom, card.contrasting]
    shown += [sample.pictures for sample in card.samples]
    shown += [group.pictures for group in card.groups]
    return {picture.example_id for pictures in shown for picture in pictures}
