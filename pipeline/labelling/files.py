"""Files of labels: filled sheets, and any CSV of labels by example_id, checked line by line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

from pipeline.base.csv_cells import read_cell
from pipeline.base.errors import SourceError, WarehouseError
from pipeline.tables.records import check_shape
from pipeline.warehouse.find import Neuron

SHEET_COLUMNS = ("sheet", "item", "image", "label", "note")
"""Columns of a sheet's ``labels.csv``; a person fills the last two."""

SHEET_FILE = "sheet.json"
LABELS_FILE = "labels.csv"
_SHOWN = 5


@dataclass(frozen=True)
class LabelRow:
    """One line of a file of labels."""

    line: int
    """Where it begins, 1-based."""
    example_id: int
    label: str
    """Empty: not labelled yet."""
    note: str


@dataclass(frozen=True)
class Sheet:
    """What ``sheet.json`` says."""

    name: str
    neuron: Neuron
    example_ids: dict[int, int]
    """By item."""


@dataclass(frozen=True)
class LabelFile:
    """What a file of labels says, before it is compared with a run."""

    path: Path
    rows: tuple[LabelRow, ...]
    sheet: Sheet | None
    """The sheet it belongs to; None for labels by example_id."""


def read_labels(source: Path, sheet: Path | None = None) -> LabelFile:
    """Read a filled sheet, or any CSV with the columns ``example_id`` and ``label``.

    Args:
        source: The CSV, or the folder of a sheet. Comma, semicolon or tab separated, UTF-8.
        sheet: The sheet's folder, if the CSV lies elsewhere.

    Raises:
        SourceError: It is not such a file, or lines are wrong; the first ones are listed.
    """
    path = source / LABELS_FILE if source.is_dir() else source
    names, records = _parse(path, _read_text(path))
    if "label" not in names or not {"item", "example_id"} & set(names):
        raise SourceError(
            f"{path} has the columns {', '.join(names) or '(none)'}.",
            "It needs sheet, item and label, as neurons label export writes them; or example_id and "
            "label, with --layer and --unit.",
        )
    if "item" not in names:
        return LabelFile(path, _rows_by_example(path, records), None)
    folder = sheet or path.parent
    known = _read_sheet(folder / SHEET_FILE if folder.is_dir() else folder, path)
    return LabelFile(path, _rows_of_sheet(path, records, known), known)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"{path} cannot be read: {error}.",
            "Give the folder of a sheet, or a CSV in UTF-8 as neurons label export writes it.",
        ) from error


def _parse(path: Path, text: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Column names, and the line number and fields of every record that is not blank."""
    head = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    records: list[tuple[int, dict[str, str]]] = []
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        begin = reader.line_num + 1
        for fields in reader:
            if any(field.strip() for field in fields):
                padded = [*fields, *[""] * len(names)]
                values = (read_cell(field.strip()).strip() for field in padded)
                records.append((begin, dict(zip(names, values, strict=False))))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise SourceError(
            f"{path} line {reader.line_num + 1} is not CSV: {error}.", "Mend that line."
        ) from error
    return names, records


class SheetItem(TypedDict):
    """One image of a sheet."""

    item: int
    """Its number, from 1."""
    image: NotRequired[str]
    """Its file in the sheet's folder."""
    example_id: int


class SheetKey(TypedDict):
    """``sheet.json``: which neuron a sheet is of, and which item is which example."""

    sheet: str
    dataset: str
    run_id: str
    layer: str
    unit: int
    seed: NotRequired[int]
    per_bin: NotRequired[int]
    """How it was drawn: `settings.SheetOptions`."""
    items: list[SheetItem]


def _read_sheet(path: Path, labels: Path) -> Sheet:
    try:
        key: SheetKey = json.loads(path.read_text(encoding="utf-8"))
        check_shape(key, SheetKey, str(path))
        neuron = Neuron(key["dataset"], key["run_id"], key["layer"], key["unit"])
        examples = {entry["item"]: entry["example_id"] for entry in key["items"]}
        return Sheet(key["sheet"], neuron, examples)
    except OSError as error:
        raise SourceError(
            f"{labels} is a sheet's, but there is no {path}: {error.strerror}.",
            "Name the folder that neurons label export wrote: --sheet FOLDER. What neurons label sample wrote "
            "is read by neurons paper --judged FOLDER.",
        ) from error
    except (ValueError, WarehouseError) as error:
        why = error.message if isinstance(error, WarehouseError) else f"{error}."
        raise SourceError(
            f"{path} is not the key of a sheet: {why}",
            "Restore it, or export the sheet again.",
        ) from error


def _rows_of_sheet(
    path: Path, records: list[tuple[int, dict[str, str]]], sheet: Sheet
) -> tuple[LabelRow, ...]:
    found = _check_items(path, records, sheet.name, sheet.example_ids)
    return tuple(
        LabelRow(line, sheet.example_ids[item], record["label"], record.get("note", ""))
        for line, item, record in found
    )


def read_answers(path: Path, sheet: str, items: Collection[int]) -> dict[int, str]:
    """What a person answered on a sheet, by item; those that were left empty are left out.

    Args:
        path: The CSV, with the columns of a sheet.
        sheet: Its id.
        items: Their numbers.

    Raises:
        SourceError: It is not such a file, or lines are wrong; the first ones are listed.
    """
    names, records = _parse(path, _read_text(path))
    if not {"item", "label"} <= set(names):
        raise SourceError(
            f"{path} has the columns {', '.join(names) or '(none)'}.",
            "It needs sheet, item and label, as they were written.",
        )
    found = _check_items(path, records, sheet, items)
    return {item: record["label"] for _, item, record in found if record["label"]}


def _check_items(
    path: Path, records: list[tuple[int, dict[str, str]]], sheet: str, items: Collection[int]
) -> list[tuple[int, int, dict[str, str]]]:
    """Line, item and fields of each record.

    Raises:
        SourceError: One is of another sheet, of no item, or there twice.
    """
    found: list[tuple[int, int, dict[str, str]]] = []
    problems: list[str] = []
    seen: dict[int, int] = {}
    for line, record in records:
        item = _whole_number(record["item"])
        if record.get("sheet", sheet) != sheet:
            problems.append(f"line {line} is of sheet {record['sheet']!r}, not {sheet!r}")
        elif item is None or item not in items:
            problems.append(
                f"line {line}: there is no item {record['item']!r}, only 1 to {len(items)}"
            )
        elif item in seen:
            problems.append(f"line {line}: item {item} was on line {seen[item]} already")
        else:
            seen[item] = line
            found.append((line, item, record))
    _refuse(path, problems)
    return found


def _rows_by_example(path: Path, records: list[tuple[int, dict[str, str]]]) -> tuple[LabelRow, ...]:
    rows: list[LabelRow] = []
    problems: list[str] = []
    seen: dict[int, int] = {}
    for line, record in records:
        example_id = _whole_number(record["example_id"])
        if example_id is None:
            problems.append(f"line {line}: example_id {record['example_id']!r} is no whole number")
        elif example_id in seen:
            problems.append(
                f"line {line}: example {example_id} was on line {seen[example_id]} already"
            )
        else:
            seen[example_id] = line
            rows.append(LabelRow(line, example_id, record["label"], record.get("note", "")))
    _refuse(path, problems)
    return tuple(rows)


def _whole_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _refuse(path: Path, problems: list[str]) -> None:
    if problems:
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise SourceError(
            f"{path} has {len(problems)} wrong lines, and nothing of it was imported.",
            "\n  ".join(problems[:_SHOWN]) + more + "\n  Mend them and import again.",
        )
