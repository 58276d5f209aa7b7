"""The header of an SQL file, which is its contract: what it says, and how it is read.

Named fields first, then notes, then the table of columns. A line of the table that has names alone::

    -- column  type     unit   meaning
    -- dataset, run_id, layer,
    -- unit
    -- lift    double   ratio  how much more frequent it is there

means columns that are what they are in the relations that the view reads: each as in the first of these,
in the order of ``reads``, that has a column of its name. So what a column means is written where it is
made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pipeline.tables.columns import PARTITIONS
from pipeline.tables.computed import DERIVED
from pipeline.tables.schema import TABLES


@dataclass(frozen=True)
class ViewColumn:
    """One column as a header states it; a name alone has no ``type`` until `describe` finds it."""

    name: str
    type: str = ""
    unit: str = ""
    meaning: str = ""


class Source(NamedTuple):
    """What of an SQL file is asked whenever a warehouse is opened."""

    reads: tuple[str, ...]
    body: str


@dataclass(frozen=True)
class View:
    """One SQL file; ``topic`` is its folder."""

    topic: str
    name: str
    path: Path
    grain: str
    key: tuple[str, ...]
    reads: tuple[str, ...]
    purpose: str
    cite: str
    notes: str
    columns: tuple[ViewColumn, ...]
    body: str


def parse_source(path: Path) -> Source:
    """What one file reads, and its SQL."""
    header, body = _split(path)
    fields, _ = _fields(header)
    return Source(_names(fields["reads"]), body)


def parse_view(path: Path) -> View:
    """Parse one file.

    Raises:
        ValueError: The header lacks a field or its column table, or a row of that is out of line.
    """
    header, body = _split(path)
    table = next((i for i, line in enumerate(header) if re.match(r"column\s+type\b", line)), None)
    if table is None:
        raise ValueError(f"{path.name}: the header has no table of columns")
    fields, notes = _fields(header[:table])
    missing = {"view", "grain", "key", "reads", "purpose"} - fields.keys()
    if missing:
        raise ValueError(f"{path.name}: the header lacks {sorted(missing)}")
    return View(
        topic=path.parent.name,
        name=fields["view"],
        path=path,
        grain=fields["grain"],
        key=() if fields["key"] == "none" else _names(fields["key"]),
        reads=_names(fields["reads"]),
        purpose=fields["purpose"],
        cite=fields.get("cite", ""),
        notes=notes,
        columns=_columns(path.name, header[table], header[table + 1 :]),
        body=body,
    )


def _split(path: Path) -> tuple[list[str], str]:
    """The lines of the header without their marks, and the SQL."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))
    header = [line[2:].removeprefix(" ") for line in lines[:end]]
    return header, "\n".join(lines[end:]).strip().removesuffix(";")


def _names(field: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in field.split(","))


def describe(view: View, views: Mapping[str, View]) -> View:
    """The view with all its columns described; ``views`` are those that it reads, described.

    Raises:
        ValueError: Nothing that it reads has a column that its header only names.
    """
    return replace(
        view, columns=tuple(c if c.type else _find(c.name, view, views) for c in view.columns)
    )


def _find(name: str, view: View, views: Mapping[str, View]) -> ViewColumn:
    for relation in view.reads:
        for column in views[relation].columns if relation in views else _file_columns(relation):
            if column.name == name:
                return column
    raise ValueError(
        f"{view.path.name}: column {name} has no type, and no relation that the view reads has it"
    )


def _file_columns(relation: str) -> Iterable[ViewColumn]:
    """The columns of a ``raw_`` view over Parquet; none of another relation."""
    table = (TABLES | DERIVED).get(relation.removeprefix("raw_"))
    if table is None:
        return ()
    columns = (*(PARTITIONS[name] for name in table.partitions), *table.columns)
    return (ViewColumn(c.name, c.duckdb, c.unit, c.meaning) for c in columns)


def _fields(header: list[str]) -> tuple[dict[str, str], str]:
    """Named fields up to the first empty line, with their continuation lines; then the notes."""
    blank = next((i for i, line in enumerate(header) if not line.strip()), len(header))
    fields: dict[str, str] = {}
    name = ""
    for line in header[:blank]:
        if match := re.match(r"(\w+):\s*(.*)", line):
            name = match[1]
            fields[name] = match[2].strip()
        else:
            fields[name] += " " + line.strip()
    return fields, "\n".join(header[blank + 1 :]).strip()


def _columns(file: str, head: str, rows: list[str]) -> tuple[ViewColumn, ...]:
    starts = [head.index(word) for word in ("column", "type", "unit", "meaning")]
    columns: list[ViewColumn] = []
    for row in rows:
        if re.fullmatch(r"\w+(, \w+)*,?", row):
            columns += [ViewColumn(name) for name in re.findall(r"\w+", row)]
            continue
        if any(row[start - 1 : start].strip() for start in starts[1:]):
            raise ValueError(f"{file}: this row is out of line with the table's head: {row}")
        parts = [row[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        if parts[0]:
            columns.append(ViewColumn(*parts))
        elif columns and parts[3]:
            last = columns.pop()
            columns.append(replace(last, meaning=f"{last.meaning} {parts[3]}"))
    return tuple(columns)
