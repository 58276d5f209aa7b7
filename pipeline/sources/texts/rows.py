"""Rows of CSV and TSV, read so that one odd row never takes its neighbours with it.

A row is a line, unless a quoted field goes on over several. Where a quote is never closed, or something stands
behind a closing one, a reader that goes on looking swallows the rows in between: here the row in which it
opens is bad, alone, and reading goes on with the next line.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

_MAX_CHARACTERS = 1 << 24
"""Longest row; a text of a page has some hundred thousand characters."""

_RETURN = "\ue00d"
"""Stands for a carriage return, which csv writes without quotes and refuses to read."""

_OPEN = "opens a quote that is not closed"


class Row(NamedTuple):
    """One row."""

    line: int
    """The line in which it begins, from 1."""
    values: list[str]
    """Its fields; none if it is bad."""
    problem: str | None = None
    """Why it is bad."""


def read_rows(
    lines: Iterable[str], delimiter: str, is_row: Callable[[list[str]], bool]
) -> Iterator[Row]:
    """Read rows as Python's csv module writes them. Blank lines are passed over.

    Args:
        lines: With their ends, parted at line feeds alone.
        delimiter: What parts fields.
        is_row: Whether the fields of a line are so surely a row that no quoted text can hold it.
    """
    csv.field_size_limit(_MAX_CHARACTERS)  # its default is less than the longest texts
    source = enumerate(lines, 1)
    waiting: deque[tuple[int, str]] = deque()
    while (entry := waiting.popleft() if waiting else next(source, None)) is not None:
        number, line = entry
        text = _cut_end(line)
        if '"' not in text:
            if text:
                yield Row(number, text.split(delimiter))
            continue
        values, problem = _parse(text, delimiter)
        if problem is _OPEN:
            taken: list[tuple[int, str]] = []
            values, problem = _read_on(line, delimiter, is_row, waiting, source, taken)
            if problem is not None:
                waiting.extendleft(reversed(taken))
        yield Row(number, values, problem)


def _read_on(
    first: str,
    delimiter: str,
    is_row: Callable[[list[str]], bool],
    waiting: deque[tuple[int, str]],
    source: Iterator[tuple[int, str]],
    taken: list[tuple[int, str]],
) -> tuple[list[str], str | None]:
    """A row whose quoted field goes on over the next lines, which go into ``taken``."""
    parts, size, quotes = [first], len(first), first.count('"')
    while (entry := waiting.popleft() if waiting else next(source, None)) is not None:
        taken.append(entry)
        line = entry[1]
        parts.append(line)
        size += len(line)
        quotes += line.count('"')
        if size > _MAX_CHARACTERS or is_row(_cut_end(line).split(delimiter)):
            break
        if quotes % 2 == 0:
            values, problem = _parse(_cut_end("".join(parts)), delimiter)
            if problem is not _OPEN:
                return values, problem
    return [], _OPEN


def _parse(text: str, delimiter: str) -> tuple[list[str], str | None]:
    plain = text.replace("\r", _RETURN)
    try:
        values = next(csv.reader([plain], delimiter=delimiter, strict=True), [])
        return [value.replace(_RETURN, "\r") for value in values] if plain != text else values, None
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            return [], _OPEN
        return [], f"has a quote in the wrong place ({error})"


def _cut_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")
