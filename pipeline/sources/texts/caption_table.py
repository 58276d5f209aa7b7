"""A file of captions, CSV, TSV, JSONL, JSON or Parquet: its rows, whatever program wrote it.

Which separator (comma, semicolon, tab, bar) is known by the header; columns are found in any spelling
(``File Name`` is ``file_name``). The encoding is that of `decode_text`, cell by cell, so that one bad cell
costs one text. A row that cannot be read is told with its line; the others are read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.base.errors import SourceError
from pipeline.base.places import open_place
from pipeline.sources.notices import Notices
from pipeline.sources.texts.caption_json import FILE_COLUMNS, TEXT_COLUMNS, find_rows, plain_name
from pipeline.sources.texts.decoding import decode_text, find_encoding
from pipeline.sources.texts.rows import read_rows

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
"""Files that are taken for captions by their name alone."""

_LARGEST_BYTES = 1 << 31
"""Of a JSON file that is looked into without being named."""

_SAYING_COLUMNS = (*TEXT_COLUMNS, "concept")
"""Columns of which a table has one at least: what is said of an image."""

_DELIMITERS = (",", ";", "\t", "|")


@dataclass
class CaptionRow:
    """One row of the table."""

    line: int
    """Its number, from 1."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """By column, in lower case; a cell of a CSV is a text."""
    problem: str | None = None
    """Why it cannot be read."""
    notices: Notices = field(default_factory=Notices)
    """What is told of its cells."""
    unit: str = "line"
    """What is numbered: ``line``, or ``entry`` of JSON and Parquet."""

    def first(self, columns: Sequence[str]) -> Any:
        """The first of some columns that is there."""
        found = (self.fields[column] for column in columns if self.fields.get(column) is not None)
        return next(found, None)


def read_caption_table(path: str, is_image: Callable[[str], bool]) -> Iterator[CaptionRow]:
    """Give the rows of a table of captions.

    Args:
        path: The file; a path or URL.
        is_image: Whether a file name is that of an image: a row that names one is never taken for a
            part of the row before.

    Raises:
        SourceError: There is no such file, or it has not the columns.
    """
    fs, inner = open_place(path)
    try:
        if not fs.isfile(inner):
            what = "is no file" if fs.exists(inner) else "is not there"
            raise SourceError(f"The captions {path} could not be read: it {what}.", _EXPECTED)
        data = bytes(fs.cat_file(inner))
    except OSError as error:
        raise SourceError(f"The captions {path} could not be read: {error}.", _EXPECTED) from error
    name = inner.lower()
    if name.endswith(".json"):
        rows = _read_json(data, is_image, is_named=True)
        if rows is None:
            raise SourceError(f"{path} holds no captions in a layout that is known.", _LAYOUTS)
        yield from rows
    elif name.endswith(".parquet"):
        rows = _read_parquet(data)
        if rows is None:
            raise SourceError(
                f"{path} is no Parquet file with a column of texts for the file and one for the "
                "caption.",
                f"Expected one of {', '.join(FILE_COLUMNS)} and one of {', '.join(TEXT_COLUMNS)}.",
            )
        yield from rows
    elif name.endswith((".jsonl", ".ndjson")):
        yield from _read_objects(_split_lines(data))
    else:
        yield from _read_table(path, _split_lines(data), is_image)


def holds_captions(fs: Any, inner: str, is_image: Callable[[str], bool]) -> bool | None:
    """Whether a JSON or Parquet file that nobody named is a table of captions of images that are here.

    None for one that cannot be read.

    Args:
        fs: The filesystem.
        inner: The file.
        is_image: Whether a file name is that of an image.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if inner.lower().endswith(".parquet"):
            with fs.open(inner, "rb") as file:
                return _has_columns(pq.read_schema(file))
        if fs.size(inner) > _LARGEST_BYTES:
            return None
        return _read_json(bytes(fs.cat_file(inner)), is_image, is_named=False) is not None
    except (pa.ArrowException, OSError, SourceError):
        return None


def _read_json(
    data: bytes, is_image: Callable[[str], bool], is_named: bool
) -> list[CaptionRow] | None:
    rows = find_rows(_parse(data), is_image, is_named)
    if rows is None:
        return None
    return [
        CaptionRow(n, problem=row, unit="entry")
        if isinstance(row, str)
        else CaptionRow(n, row, unit="entry")
        for n, row in enumerate(rows, 1)
    ]


def _parse(data: bytes) -> Any:
    """The value of a JSON file, or the list of its lines' values.

    Raises:
        SourceError: It is neither.
    """
    text = (decode_text(data, Notices(), "the captions") or "").strip("\ufeff")
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError) as error:
        try:
            return [json.loads(line, strict=False) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            raise SourceError(f"The captions do not parse: {error}.", _LAYOUTS) from error


def _read_parquet(data: bytes) -> list[CaptionRow] | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        if not _has_columns(file.schema_arrow):
            return None
        rows = file.read().to_pylist()
    except (pa.ArrowException, OSError):
        return None
    return [
        CaptionRow(n, {plain_name(name): cell for name, cell in row.items()}, unit="entry")
        for n, row in enumerate(rows, 1)
    ]


def _has_columns(schema: Any) -> bool:
    """Whether a schema has a column of names (images themselves are no names) and one of captions."""
    import pyarrow as pa

    types = {plain_name(field.name): field.type for field in schema}
    is_text = (pa.types.is_string, pa.types.is_large_string)
    has_names = any(f in types and any(test(types[f]) for test in is_text) for f in FILE_COLUMNS)
    return has_names and any(name in types for name in TEXT_COLUMNS)


_EXPECTED = "Expected a UTF-8 file .csv or .tsv with a header, .jsonl with an object a line, .json or .parquet."
_LAYOUTS = (
    "Expected COCO's (images and annotations with captions), a list of objects with file and caption, or "
    "an object from file to caption."
)


def _split_lines(data: bytes) -> list[str]:
    """Lines with their ends; bytes that are not UTF-8 stay as surrogates until their cell is read."""
    encoding = find_encoding(data)
    text = data.decode(encoding or "utf-8", "replace" if encoding else "surrogateescape")
    lines = text.replace("\r\n", "\n").split("\n")
    if len(lines) == 1:
        lines = text.split("\r")  # as old systems end lines
    return [f"{line}\n" for line in lines]


def _read_table(
    path: str, lines: Sequence[str], is_image: Callable[[str], bool]
) -> Iterator[CaptionRow]:
    skipped = 1 if lines[0].lower().startswith("sep=") else 0  # Excel names its separator so
    delimiter, header = _find_header(path, lines[skipped])
    place = next(header.index(name) for name in FILE_COLUMNS if name in header)

    def is_row(values: list[str]) -> bool:
        name = values[place].strip().strip('"') if len(values) >= len(header) else ""
        return "." in name and is_image(name)

    for row in read_rows(lines[skipped + 1 :], delimiter, is_row):
        line = row.line + skipped + 1
        if row.problem is None and len(row.values) > len(header):
            found = f"has {len(row.values)} fields instead of {len(header)}"
            yield CaptionRow(line, problem=f"{found}: texts that hold {delimiter!r} must be quoted")
        elif row.problem is not None:
            yield CaptionRow(line, problem=row.problem)
        else:
            notices = Notices()
            cells = [_read_cell(cell, notices, f"line {line}") for cell in row.values]
            yield CaptionRow(line, dict(zip(header, cells, strict=False)), None, notices)


def _find_header(path: str, line: str) -> tuple[str, list[str]]:
    shown: list[str] = []
    for delimiter in _DELIMITERS:
        row = next(read_rows([line], delimiter, lambda values: False), None)
        names = [plain_name(name) for name in row.values] if row is not None else []
        shown = shown or names
        if all(set(wanted) & set(names) for wanted in (FILE_COLUMNS, _SAYING_COLUMNS)):
            twice = [name for name in FILE_COLUMNS + _SAYING_COLUMNS if names.count(name) > 1]
            if twice:
                raise SourceError(
                    f"The captions {path} have the column {twice[0]} {names.count(twice[0])} times.",
                    "Give each column a name of its own; several captions of a file are several rows.",
                )
            return delimiter, names
    for wanted in (FILE_COLUMNS, _SAYING_COLUMNS):
        if not set(wanted) & set(shown):
            raise SourceError(
                f"The captions {path} have no column {' or '.join(wanted)}; "
                f"they have: {', '.join(shown) or 'nothing'}.",
                "Expected a header line with at least file and caption, parted by commas, semicolons or "
                "tabs. If it holds no captions, move it elsewhere, or name those that are with --captions.",
            )
    raise AssertionError(shown)


def _read_cell(cell: str, notices: Notices, where: str) -> str | None:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return decode_text(cell.encode("utf-8", "surrogateescape"), notices, where)
    return cell


def _read_objects(lines: Sequence[str]) -> Iterator[CaptionRow]:
    for number, line in enumerate(lines, 1):
        notices = Notices()
        text = _read_cell(line, notices, f"line {number}")
        if text is None:
            yield CaptionRow(number, problem="is in an unknown encoding")
        elif text.strip("\ufeff \t\r\n"):
            yield _read_object(number, text.strip("\ufeff"), notices)


def _read_object(number: int, text: str, notices: Notices) -> CaptionRow:
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError) as error:
        return CaptionRow(number, problem=f"does not parse: {error}")
    if not isinstance(value, dict):
        return CaptionRow(number, problem=f"holds a {type(value).__name__}, expected an object")
    fields = {plain_name(name): entry for name, entry in value.items()}
    return CaptionRow(number, fields, None, notices)
