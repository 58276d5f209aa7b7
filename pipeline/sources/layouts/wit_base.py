"""wikimedia/wit_base: Parquet with one image a row, as JPEG bytes, and its texts in parallel lists.

Wikimedia left out images in which a large face was found: it says little about neurons for people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.base.errors import ExampleError, SourceError
from pipeline.base.folders import list_folder, warn_unread
from pipeline.base.names import find_hidden
from pipeline.base.places import list_pattern, open_place, spell_place
from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import IngestConfig
from pipeline.base.storage import Store
from pipeline.sources.notices import TEXT_UNREADABLE, Notices
from pipeline.sources.texts.source_text import SourceText, make_text
from pipeline.sources.writer import SourceExample, ingest_examples, make_reject

FEATURE_KINDS = {
    "caption_reference_description": "caption",
    "caption_alt_text_description": "alt",
    "page_title": "page_title",
    "section_title": "section_title",
    "context_section_description": "section",
    "context_page_description": "page",
}
"""Which kind of text each list of ``wit_features`` holds; the other lists are not texts."""

_COLUMNS = ("image", "image_url", "caption_attribution_description", "wit_features")
_BATCH_ROWS = 64


def ingest_wit_base(
    store: Store, config: IngestConfig, paths: Sequence[str], progress: ProgressCallback
) -> None:
    """Write the images of wit_base into shards, in the order of the files and rows.

    Args:
        store: The warehouse.
        config: Name of the dataset, size of shards and limits.
        paths: Parquet files, folders of them, or URLs; a folder's files are sorted by name.
        progress: Told of each shard.

    Raises:
        SourceError: There is no Parquet file, or it is not wit_base.
    """
    items = (
        item for path in list_files(paths, (".parquet",), store.url) for item in iter_wit_base(path)
    )
    ingest_examples(store, config, "wit-base", items, progress)


def iter_wit_base(path: str) -> Iterator[SourceExample]:
    """Give the images of one file; 64 rows are in memory at a time.

    A row without bytes becomes a reject. Texts whose lists differ in length are left out, and told.

    Raises:
        SourceError: The file is damaged, or has no images of wit_base.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    fs, inner = open_place(path)
    try:
        with fs.open(inner, "rb") as opened, pq.ParquetFile(opened) as file:
            there = [name for name in _COLUMNS if name in file.schema_arrow.names]
            if "image" not in there or len(there) < 2:
                lacking = "image" if "image" not in there else "image_url"
                raise SourceError(
                    f"{path} is not a file of wit_base: it has no column {lacking}.",
                    f"Expected the column image, and some of {', '.join(_COLUMNS[1:])}.",
                )
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=there):
                for row in batch.to_pylist():
                    number += 1
                    yield _make_example(row, f"row {number} of {inner.rsplit('/', 1)[-1]}")
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            f"{path} could not be read: {error}.", "Download it again, then run the same command."
        ) from error


def list_files(paths: Sequence[str], suffixes: tuple[str, ...], but: str = "") -> list[str]:
    """The files that paths mean: files, globs, or folders, whose files at any depth are sorted by name.

    Args:
        paths: As a person gave them.
        suffixes: Endings, in lower case, of the files that are meant.
        but: A place, our warehouse, that is left out where a folder holds it.

    Raises:
        SourceError: A path means no file.
    """
    found: list[str] = []
    for path in paths:
        fs, inner = open_place(path)
        if fs.isfile(inner):
            items = [inner]  # also if its name has letters that a glob would take for a pattern
        elif fs.isdir(inner):
            below = list_folder(fs, inner, but).files
            warn_unread(path, below, [name for name in below if name.lower().endswith(suffixes)])
            items = [f"{inner.rstrip('/')}/{name}" for name in below]
        else:
            items = list_pattern(fs, inner)
        names = sorted(map(str, items))
        files = [name for name in names if name.lower().endswith(suffixes) and not _is_hidden(name)]
        if not files:
            raise SourceError(
                f"{path} holds no {' or '.join(suffixes)} file.",
                "Check the path; relative paths start here.",
            )
        found += [spell_place(fs, file) for file in files]
    return found


def _is_hidden(path: str) -> bool:
    return find_hidden(path.rsplit("/", 1)[-1]) is not None


def make_url_key(url: str) -> str:
    """A key for an image that is known by its URL: 20 hex digits of the URL's SHA-256."""
    return hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()[:20]


def _make_example(row: Mapping[str, Any], where: str) -> SourceExample:
    url = row.get("image_url")
    url = url if isinstance(url, str) and url.strip() else None
    try:
        data = _read_bytes(row["image"], url or where)
    except ExampleError as error:
        return make_reject(make_url_key(url or where), error.reason, error.detail, url)
    notices = Notices()
    texts = _read_features(row.get("wit_features"), notices)
    attribution = row.get("caption_attribution_description")
    if isinstance(attribution, str) and attribution:
        texts.append(make_text(attribution, None, "attribution"))
    key = make_url_key(url) if url else hashlib.sha256(data).hexdigest()[:20]
    return SourceExample(key, data, texts=texts, url=url, notices=tuple(notices))


def _read_bytes(image: Any, where: str) -> bytes:
    """The image file: plain bytes, a list of byte values, or a record that holds either."""
    if isinstance(image, Mapping):
        image = image.get("bytes")
    if isinstance(image, list):
        try:
            image = bytes(image)
        except (ValueError, TypeError) as error:
            what = f"the image of {where} is a list that is no bytes: {error}"
            raise ExampleError("image_unreadable", what) from error
    if not image:
        raise ExampleError("image_missing", f"the row of {where} has no bytes")
    if not isinstance(image, bytes):
        kind = type(image).__name__
        raise ExampleError("image_unreadable", f"the image of {where} is a {kind}, expected bytes")
    return image


def _read_features(features: Any, notices: Notices) -> list[SourceText]:
    """Turn parallel lists, any of which may be null, or a list of records, into texts."""
    if isinstance(features, list):
        rows = [row for row in features if isinstance(row, Mapping)]
    else:
        columns = {name: list_ for name, list_ in (features or {}).items() if list_ is not None}
        lengths = {len(list_) for list_ in columns.values()} or {0}
        if len(lengths) > 1:
            counts = ", ".join(map(str, sorted(lengths)))
            notices.add(TEXT_UNREADABLE, f"the lists of wit_features have {counts} entries")
            return []
        rows = [{name: list_[i] for name, list_ in columns.items()} for i in range(lengths.pop())]
    return [
        make_text(row[name], row.get("language"), kind, row.get("page_title"))
        for row in rows
        for name, kind in FEATURE_KINDS.items()
        if isinstance(row.get(name), str) and row[name]
    ]
