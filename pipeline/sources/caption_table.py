"""A CSV, TSV or JSONL of captions: its rows, whatever program wrote it.

Which separator (comma, semicolon, tab, bar) is known by the header; columns are found in any spelling
(``File Name`` is ``file_name``). The encoding is that of `decode_text`, cell by cell, so that one bad cell
costs one text. A row that cannot be read is told with its line; the others are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import SourceError
from pipeline.places import open_place
from pipeline.sources.decoding import decode_text, find_encoding
from pipeline.sources.notices import Notices
from pipeline.sources.rows import read_rows

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
"""Files that are taken for captions without being named."""

FILE_COLUMNS = ("file", "file_name", "filename", "image")
TEXT_COLUMNS = ("caption", "captions", "text")
_DELIMITERS = (",", ";", "\t", "|")


@dataclass
class CaptionRow:
    """One row of the table."""

    line: int
    fields: Mapping[str, Any] = field(default_factory=dict)
    """By column, in lower case; a cell of a CSV is a text."""
    problem: str | None = None
    """Why it cannot be read."""
    notices: Notices = field(default_factory=Notices)
    """What is told of its cells."""

    def first(self, columns: Sequence[str]) -> Any:
        """The first of some columns that is there."""
        found = (self.fields[column] for column in columns if self.fields.get(column) is not None)
        return next(found, None)


def read_caption_table(path: str, is_image: Any) -> Iterator[CaptionRow]:
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
    lines = _split_lines(data)
    if inner.lower().endswith((".jsonl", ".ndjson")):
        yield from _read_objects(lines)
    else:
        yield from _read_table(path, lines, is_image)


_EXPECTED = "Expected a UTF-8 file .csv or .tsv with a header, or .jsonl with an object a line."


def _split_lines(data: bytes) -> list[str]:
    """Lines with their ends; bytes that are not UTF-8 stay as surrogates until their cell is read."""
    encoding = find_encoding(data)
    text = data.decode(encoding or "utf-8", "replace" if encoding else "surrogateescape")
    lines = text.replace("\r\n", "\n").split("\n")
    if len(lines) == 1:
        lines = text.split("\r")  # as old systems end lines
    return [f"{line}\n" for line in lines]


def _read_table(path: str, lines: Sequence[str], is_image: Any) -> Iterator[CaptionRow]:
    skipped = 1 if lines[0].lower().startswith("sep=") else 0  # Excel names its separator so
    delimiter, header = _find_header(path, lines[skipped])
    place = next(header.index(name) for name in FILE_COLUMNS if name in header)

    def is_row(values: list[str]) -> bool:
        return len(values) >= len(header) and is_image(values[place].strip().strip('"'))

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
        names = [_plain_name(name) for name in row.values] if row is not None else []
        shown = shown or names
        if all(set(wanted) & set(names) for wanted in (FILE_COLUMNS, TEXT_COLUMNS)):
            twice = [name for name in FILE_COLUMNS + TEXT_COLUMNS if names.count(name) > 1]
            if twice:
                raise SourceError(
                    f"The captions {path} have the column {twice[0]} {names.count(twice[0])} times.",
                    "Give each column a name of its own; several captions of a file are several rows.",
                )
            return delimiter, names
    for wanted in (FILE_COLUMNS, TEXT_COLUMNS):
        if not set(wanted) & set(shown):
            raise SourceError(
                f"The captions {path} have no column {' or '.join(wanted)}; "
                f"they have: {', '.join(shown) or 'nothing'}.",
                "Expected a header line with at least file and caption, parted by commas, semicolons "
                "or tabs.",
            )
    raise AssertionError(shown)


def _plain_name(name: str) -> str:
    return name.strip().strip("\ufeff\"'").lower().replace(" ", "_").replace("-", "_")


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
    fields = {_plain_name(name): entry for name, entry in value.items()}
    return CaptionRow(number, fields, None, notices)
