"""Reading WIT's TSV files into DuckDB on disk, and the list of their images for img2dataset.

They are read as their authors say (github.com/google-research-datasets/wit, issue 3), by the rules of Python's
csv module: a row is not a line, because long texts are quoted and hold line ends.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from pipeline.base.errors import SourceError
from pipeline.base.places import open_place
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.storage import Store
from pipeline.sources.layouts.wit_base import list_files
from pipeline.sources.notices import Notice, Notices
from pipeline.sources.texts.decoding import decode_text
from pipeline.sources.texts.rows import read_rows
from pipeline.sources.writer import SourceExample, make_reject
from pipeline.warehouse.files import warehouse_uri

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

_URL_PLACE = COLUMNS.index("image_url")
_TEXT_COLUMNS = {
    name for name in COLUMNS if "caption" in name or "title" in name or "context" in name
}
_BATCH_ROWS = 5000
_MAX_BAD_ROWS = 1000
_MAX_BAD_FRAC = 0.1


@dataclass(frozen=True)
class BadRow:
    """A row of a TSV that cannot be read."""

    file: str
    line: int
    """The line in which the row begins."""
    detail: str

    def to_reject(self) -> SourceExample:
        """The row as an item that is rejected."""
        name = f"{self.file.rsplit('/', 1)[-1]}:{self.line}"
        return make_reject(name, "bad_tsv_row", f"line {self.line} of {self.file} {self.detail}")


@dataclass
class OddRows:
    """What was found in TSV files beside good rows."""

    bad: list[BadRow] = field(default_factory=list)
    """Rows that were left out."""
    notices: dict[str, list[Notice]] = field(default_factory=dict)
    """By image_url: cells that were left out of rows that are used."""


@contextmanager
def connect(spill: str) -> Iterator[Any]:
    """A DuckDB database in the folder ``spill`` that uses at most 2 GB of memory."""
    from pipeline.warehouse.duck import open_duckdb

    with open_duckdb(Store(spill), "2GB", f"{spill}/wit.duckdb") as con:
        yield con


def load_tsv(
    con: Any, spill: str, files: Sequence[str], columns: Sequence[str], progress: ProgressCallback
) -> OddRows:
    """Read columns of TSV files, plain or gzipped, into the view ``tsv_rows``, all as text.

    Its column ``image_id`` is one for the http and the https address of an image. Columns that a file
    does not have are empty; it must have image_url and a text. A header that comes again is passed over,
    and a file that begins without one must have all 17 columns. The rows lie in a Parquet file in
    ``spill``: three times faster than a table of DuckDB, and a third of the size.

    Returns:
        The rows that were left out (another number of columns, a stray quote, no image_url), and cells
        that are not UTF-8.

    Raises:
        SourceError: A file cannot be read, is no TSV of WIT, or a tenth of its rows are bad.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.string()) for name in columns])
    path = f"{spill}/tsv_rows.parquet"
    odd = OddRows()
    progress.start("TSV files", len(files))
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        for file in files:
            before = len(odd.bad)
            read_count = _copy_rows(writer, _read_rows(file, columns, odd))
            bad = odd.bad[before:]
            if len(bad) > max(_MAX_BAD_ROWS, _MAX_BAD_FRAC * (read_count + len(bad))):
                raise SourceError(
                    f"{len(bad):,} rows of {file} are bad; the first: line {bad[0].line} "
                    f"{bad[0].detail}.",
                    f"Expected {len(COLUMNS)} columns separated by tabs, long texts in quotes.",
                )
            progress.advance(1, f"{file}: {read_count:,} rows, {len(bad):,} bad")
    progress.finish()
    con.execute(
        "create view tsv_rows as select *, regexp_replace(image_url, '^http://', 'https://') as image_id "
        f"from read_parquet('{warehouse_uri('tsv_rows.parquet')}')"
    )
    return odd


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
    store = Store(folder or ("/" if out.startswith("/") else "."))
    with tempfile.TemporaryDirectory(dir=spill) as place, connect(place) as con:
        load_tsv(con, place, files, _URL_COLUMNS, progress or NoProgress())

        def write(path: str) -> None:
            quoted = path.replace("'", "''")
            con.execute(f"copy ({_URL_QUERY}) to '{quoted}' (format parquet, compression zstd)")

        store.write_with(name, write)
        count = con.sql("select count(distinct image_id) from tsv_rows").fetchall()
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
    max(image_url) as url,
    min_by(caption, (language <> 'en', caption_order, language, caption)) as caption,
    min(nullif(mime_type, '')) as mime_type,
    max(try_cast(original_height as integer)) as wit_original_height,
    max(try_cast(original_width as integer)) as wit_original_width,
from captions
group by image_id
order by image_id
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


def _read_rows(file: str, columns: Sequence[str], odd: OddRows) -> Iterator[list[str]]:
    """Give the columns of each good row; tell ``odd`` of the others."""
    try:
        with _open_text(file) as lines:
            first = lines.readline()
            header = next((row.values for row in read_rows([first], "\t", _never)), [])
            lines_of_rows: Iterable[str] = lines
            number = 1
            if "image_url" not in header and _is_row(header, len(COLUMNS), _URL_PLACE):
                header, number = list(COLUMNS), 0  # a piece of a file that was split
                lines_of_rows = chain([first], lines)
            if "image_url" not in header or not set(header) & _TEXT_COLUMNS:
                lacking = [name for name in COLUMNS if name not in header]
                raise SourceError(
                    f"{file} is not a TSV of WIT v1: its header lacks {', '.join(lacking)}.",
                    f"Expected columns separated by tabs, image_url and texts among them: "
                    f"{', '.join(COLUMNS)}.",
                )
            url_place = header.index("image_url")
            places = [header.index(name) if name in header else None for name in columns]

            def is_row(values: list[str]) -> bool:
                return _is_row(values, len(header), url_place)

            for row in read_rows(lines_of_rows, "\t", is_row):
                values, line = row.values, number + row.line
                if values and values[0].startswith("\ufeff"):
                    values[0] = values[0].removeprefix("\ufeff")
                problem = row.problem or _find_problem(values, len(header), url_place)
                if problem is not None:
                    odd.bad.append(BadRow(file, line, problem))
                elif values != header:  # which stands again where files were joined
                    where = f"line {line} of {file.rsplit('/', 1)[-1]}"
                    url = values[url_place]
                    yield [
                        "" if place is None else _read_cell(values[place], url, where, odd)
                        for place in places
                    ]
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(
            f"{file} could not be read: {type(error).__name__}: {error}.",
            "It may be cut: download it again, then run the same command.",
        ) from error


@contextmanager
def _open_text(file: str) -> Iterator[io.TextIOWrapper]:
    """A file as text whose lines end at line feeds alone; gzip is known by its bytes."""
    fs, inner = open_place(file)
    with ExitStack() as stack:
        opened = stack.enter_context(fs.open(inner, "rb"))
        magic = opened.read(2)
        opened.seek(0)
        if magic == b"\x1f\x8b":
            opened = stack.enter_context(gzip.GzipFile(fileobj=opened))
        yield stack.enter_context(
            io.TextIOWrapper(opened, "utf-8-sig", errors="surrogateescape", newline="\n")
        )


def _read_cell(cell: str, url: str, where: str, odd: OddRows) -> str:
    """A cell that is not UTF-8 is read by the rule of `decode_text`, or left out; the row stays."""
    if cell.isascii():
        return cell
    try:
        cell.encode()
    except UnicodeEncodeError:
        notices = Notices()
        text = decode_text(cell.encode("utf-8", "surrogateescape"), notices, where)
        odd.notices.setdefault(url, []).extend(notices)
        return text or ""
    return cell


def _is_row(values: list[str], column_count: int, url_place: int) -> bool:
    return len(values) == column_count and values[url_place].startswith(("http://", "https://"))


def _never(values: list[str]) -> bool:
    return False


def _find_problem(row: list[str], column_count: int, url_place: int) -> str | None:
    if len(row) != column_count:
        return f"has {len(row)} columns instead of {column_count}"
    url = row[url_place]
    if not url.strip():
        return "has no image_url"
    try:
        url.encode()
    except UnicodeEncodeError:
        return "has an image_url that is not UTF-8"
    return None
