"""Google's Wikipedia-based Image Text (WIT v1): TSV rows of texts, and images downloaded for them.

WIT has 37.6 million rows for 11.5 million images. Rows are sorted by ``image_url`` on disk, so
memory stays bounded whatever the size, and neighbouring rows become one example with all its texts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import Any

from pipeline.base.errors import ConfigError, ExampleError
from pipeline.base.places import open_place
from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import IngestConfig, WitOptions
from pipeline.base.storage import Store
from pipeline.sources.layouts.wit_base import list_files, make_url_key
from pipeline.sources.layouts.wit_images import create_image_table
from pipeline.sources.layouts.wit_tsv import connect, load_tsv
from pipeline.sources.notices import Notice, merge_notices
from pipeline.sources.texts.source_text import SourceText, drop_repeats, make_text
from pipeline.sources.writer import SourceExample, ingest_examples, make_reject

TEXT_KINDS = {
    "caption_reference_description": "caption",
    "caption_attribution_description": "attribution",
    "caption_alt_text_description": "alt",
    "page_title": "page_title",
    "section_title": "section_title",
    "context_section_description": "section",
    "context_page_description": "page",
}
"""Which kind of text each column holds. The hierarchical title repeats the other titles."""

TEXT_COLUMNS = ("language", *TEXT_KINDS)
_BATCH_ROWS = 2000


def ingest_wit(
    store: Store,
    config: IngestConfig,
    paths: Sequence[str],
    options: WitOptions,
    progress: ProgressCallback,
) -> None:
    """Write the images of WIT into shards, one example an image, in the order of ``image_url``.

    Every URL without an image becomes a reject ``image_missing``, and every row that has not 17
    columns a reject ``bad_tsv_row``. A text that comes again in the same language and kind is kept
    once.

    Args:
        store: The warehouse.
        config: Name of the dataset, size of shards and limits.
        paths: ``.tsv`` and ``.tsv.gz`` files, or folders of them.
        options: Where the images are, and where the rows lie while they are sorted.
        progress: Told of each file and each shard.

    Raises:
        ConfigError: The option ``images`` is missing.
        SourceError: A file is not a TSV of WIT, or the images cannot be found.
    """
    if not options.images:
        raise ConfigError(
            "The source wit needs the images that were downloaded.",
            "Give --images FOLDER: a folder of images, or the output folder of img2dataset.",
        )
    files = list_files(paths, (".tsv", ".tsv.gz"), store.url)
    with tempfile.TemporaryDirectory(dir=options.spill or None) as spill, connect(spill) as con:
        odd = load_tsv(con, spill, files, ("image_url", *TEXT_COLUMNS), progress)
        create_image_table(con, options.images, progress)
        items = chain((row.to_reject() for row in odd.bad), iter_wit(con, odd.notices))
        ingest_examples(store, config, "wit", items, progress)


def iter_wit(con: Any, notices: Mapping[str, Sequence[Notice]]) -> Iterator[SourceExample]:
    """Give one item per image of the tables ``tsv_rows`` and ``images``, sorted by URL.

    Args:
        con: A connection that has them.
        notices: By image_url, what was left out of its rows.
    """
    columns = ", ".join(f"tsv_rows.{name}" for name in TEXT_COLUMNS)
    reader = con.sql(
        f"""
        select
            tsv_rows.image_id,
            tsv_rows.image_url,
            {columns},
            images.place_count,
            images.path,
            images.image_offset,
            images.image_bytes,
        from tsv_rows
        left join images on tsv_rows.image_id = images.image_id
        order by tsv_rows.image_id, {columns}, tsv_rows.image_url
        """
    ).to_arrow_reader(_BATCH_ROWS)
    rows = (row for batch in reader for row in batch.to_pylist())
    for _, group in groupby(rows, key=lambda row: str(row["image_id"])):
        yield _make_example(list(group), notices)


def _make_example(
    rows: Sequence[Mapping[str, Any]], notices: Mapping[str, Sequence[Notice]]
) -> SourceExample:
    urls = sorted({str(row["image_url"]) for row in rows})
    url = urls[-1]  # https, if any row says so
    key, place = make_url_key(url), rows[0]
    if place["place_count"] is None:
        return make_reject(key, "image_missing", f"no image of {url} was found", url)
    if place["place_count"] > 1:
        what = f"{place['place_count']} images or URLs share the file name of {url}"
        return make_reject(key, "image_ambiguous", what, url)

    def read_image() -> bytes:
        return _read_bytes(place["path"], place["image_offset"], place["image_bytes"])

    told = tuple(notice for one in urls for notice in notices.get(one, ()))
    return SourceExample(
        key, read_image, texts=_read_texts(rows), url=url, notices=merge_notices(told)
    )


def _read_texts(rows: Sequence[Mapping[str, Any]]) -> list[SourceText]:
    texts: list[SourceText] = [
        make_text(row[column], row["language"], kind, row["page_title"])
        for row in rows
        for column, kind in TEXT_KINDS.items()
        if row[column]
    ]
    return drop_repeats(texts)


def _read_bytes(path: str, offset: int | None, size: int | None) -> bytes:
    try:
        fs, inner = open_place(path)
        if offset is None:
            return bytes(fs.cat_file(inner))
        return bytes(fs.cat_file(inner, start=offset, end=offset + (size or 0)))
    except OSError as error:
        raise ExampleError("image_unreadable", f"{path}: {error}") from error
