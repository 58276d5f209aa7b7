"""Reading WIT's TSV files into DuckDB on disk, and the list of their images for img2dataset.

They are read as their authors say (github.com/google-research-datasets/wit, issue 3), with Python's
csv module: a row is not a line, because long texts are quoted and hold line ends.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import fsspec

from pipeline.errors import SourceError
from pipeline.progress import NoProgress, ProgressCallback
from pipeline.sources.wit_base import list_files
from pipeline.sources.writer import SourceExample, make_reject
from pipeline.storage import Store
from pipeline.warehouse_files import warehouse_uri

COLUMNS = (
    "language",
    "page_url",
    "image_url",
    "page_title",
    "section_title",
    "hierarchical_section_title",
    "caption_reference_description",
    "caption_attribution_description",
    "caption_alt_text_description",
    "mime_type",
    "original_height",
    "original_width",
    "is_main_image",
    "attribution_passes_lang_id",
    "page_changed_recently",
    "context_page_description",
    "context_section_description",
)
"""The 17 columns of WIT v1."""

_BATCH_ROWS = 5000
_MAX_BAD_ROWS = 1000
_MAX_BAD_FRAC = 0.1


@dataclass(frozen=True)
class BadRow:
    """A row of a TSV that cannot be read."""

    file: str
    line: int
    """The line in which the row ends."""
    detail: str

    def to_reject(self) -> SourceExample:
        """The row as an item that is rejected."""
        name = f"{self.file.rsplit('/', 1)[-1]}:{self.line}"
        return make_reject(name, "bad_tsv_row", f"line {self.line} of {self.file} {self.detail}")


@contextmanager
def connect(spill: str) -> Iterator[Any]:
    """A DuckDB database in the folder ``spill`` that uses at most 2 GB of memory."""
    from pipeline.duck import open_duckdb

    with open_duckdb(Store(spill), "2GB", f"{spill}/wit.duckdb") as con:
        yield con


def load_tsv(
    con: Any, spill: str, files: Sequence[str], columns: Sequence[str], progress: ProgressCallback
) -> list[BadRow]:
    """Read columns of TSV files, plain or gzipped, into the view ``tsv_rows``, all as text.

    The rows lie in a Parquet file in ``spill``: three times faster than a table of DuckDB, and a
    third of the size.

    Returns:
        The rows that were left out: another number of columns, no image_url, or not UTF-8.

    Raises:
        SourceError: A file cannot be read, lacks a column, or a tenth of its rows are bad.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.string()) for name in columns])
    path = f"{spill}/tsv_rows.parquet"
    bad_rows: list[BadRow] = []
    progress.start("TSV files", len(files))
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        for file in files:
            bad: list[BadRow] = []
            read_count = _copy_rows(writer, _read_rows(file, columns, bad))
            if len(bad) > max(_MAX_BAD_ROWS, _MAX_BAD_FRAC * (read_count + len(bad))):
                raise SourceError(
                    f"{len(bad):,} rows of {file} are bad; the first: line {bad[0].line} "
                    f"{bad[0].detail}.",
                    f"Expected {len(COLUMNS)} columns separated by tabs, long texts in quotes.",
                )
            bad_rows += bad
            progress.advance(1, f"{file}: {read_count:,} rows, {len(bad):,} bad")
    progress.finish()
    con.execute(f"create view tsv_rows as from read_parquet('{warehouse_uri('tsv_rows.parquet')}')")
    return bad_rows


def write_url_table(
    paths: Sequence[str],
    out: str,
    spill: str | None = None,
    progress: ProgressCallback | None = None,
) -> int:
    """Write the list of WIT's images that img2dataset downloads: one row per image URL.

    Columns: ``url``, ``caption`` (English before other languages; the reference description before
    alt text, attribution and page title), ``mime_type``, ``wit_original_height`` and
    ``wit_original_width`` in px. The two sizes are renamed because img2dataset has columns of its
    own called original_height and original_width, and overwrites them.

    Args:
        paths: ``.tsv`` and ``.tsv.gz`` files, or folders of them.
        out: The Parquet file to write; a path or URL.
        spill: Where rows lie for the time being; by default the system's temporary folder.
        progress: Told of each file.

    Returns:
        The number of rows.

    Raises:
        SourceError: A file is not a TSV of WIT.
        StorageError: ``out`` cannot be written.
    """
    import tempfile

    files = list_files(paths, (".tsv", ".tsv.gz"))
    folder, _, name = out.rpartition("/")
    store = Store(folder or ".")
    with tempfile.TemporaryDirectory(dir=spill) as place, connect(place) as con:
        load_tsv(con, place, files, _URL_COLUMNS, progress or NoProgress())

        def write(path: str) -> None:
            quoted = path.replace("'", "''")
            con.execute(f"copy ({_URL_QUERY}) to '{quoted}' (format parquet, compression zstd)")

        store.write_with(name, write)
        count = con.sql("select count(distinct image_url) from tsv_rows").fetchall()
        return int(count[0][0])


_URL_COLUMNS = (
    "image_url",
    "language",
    "caption_reference_description",
    "caption_alt_text_description",
    "caption_attribution_description",
    "page_title",
    "mime_type",
    "original_height",
    "original_width",
)

_URL_QUERY = """
with

captions as (
    select
        *,
        coalesce(
            nullif(caption_reference_description, ''),
            nullif(caption_alt_text_description, ''),
            nullif(caption_attribution_description, ''),
            nullif(page_title, '')
        ) as caption,
        case
            when caption_reference_description <> '' then 0
            when caption_alt_text_description <> '' then 1
            when caption_attribution_description <> '' then 2
            else 3
        end as caption_order,
    from tsv_rows
)

select
    image_url as url,
    min_by(caption, (language <> 'en', caption_order, language, caption)) as caption,
    min(nullif(mime_type, '')) as mime_type,
    max(try_cast(original_height as integer)) as wit_original_height,
    max(try_cast(original_width as integer)) as wit_original_width,
from captions
group by image_url
order by image_url
"""


def _copy_rows(writer: Any, rows: Iterator[list[str]]) -> int:
    """Write rows in batches; returns how many there were."""
    import pyarrow as pa

    count = 0
    while batch := list(islice(rows, _BATCH_ROWS)):
        columns = [pa.array(column, pa.string()) for column in zip(*batch, strict=True)]
        writer.write_table(pa.table(columns, schema=writer.schema))
        count += len(batch)
    return count


def _read_rows(file: str, columns: Sequence[str], bad: list[BadRow]) -> Iterator[list[str]]:
    """Give the columns of each good row; append the others to ``bad``."""
    limit = csv.field_size_limit(1 << 30)  # page texts are longer than the default of 128 KiB
    compression = "gzip" if file.endswith(".gz") else None
    try:
        with fsspec.open(file, "rb", compression=compression) as opened:
            text = io.TextIOWrapper(opened, "utf-8", errors="surrogateescape", newline="")
            reader = csv.reader(text, delimiter="\t")
            header = next(reader, [])
            missing = [name for name in COLUMNS if name not in header]
            if missing:
                raise SourceError(
                    f"{file} is not a TSV of WIT v1: its header lacks {', '.join(missing)}.",
                    f"Expected {len(COLUMNS)} columns separated by tabs: {', '.join(COLUMNS)}.",
                )
            places = [header.index(name) for name in columns]
            url_place = header.index("image_url")
            for row in reader:
                problem = _find_problem(row, len(header), url_place)
                if problem is None:
                    yield [row[place] for place in places]
                else:
                    bad.append(BadRow(file, reader.line_num, problem))
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise SourceError(
            f"{file} could not be read: {type(error).__name__}: {error}.",
            "It may be cut: download it again, then run the same command.",
        ) from error
    finally:
        csv.field_size_limit(limit)


def _find_problem(row: list[str], column_count: int, url_place: int) -> str | None:
    if len(row) != column_count:
        return f"has {len(row)} columns instead of {column_count}"
    if not row[url_place]:
        return "has no image_url"
    try:
        "".join(row).encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    return None
