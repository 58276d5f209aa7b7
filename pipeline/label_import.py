"""Labels that people gave to images, read from CSV into a run: checked, counted, replaced as a whole."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline.config import digest
from pipeline.dataset import dataset_folder
from pipeline.errors import ConfigError, SourceError
from pipeline.schema import TABLES
from pipeline.storage import Store, partition

if TYPE_CHECKING:
    import duckdb

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
class LabelFile:
    """What a file of labels says, before it is compared with a run."""

    path: Path
    rows: tuple[LabelRow, ...]
    sheet: dict[str, Any] | None
    """The sheet it belongs to; None for labels by example_id."""


@dataclass(frozen=True)
class ImportSummary:
    """What became of the lines of a file: read = imported + unlabelled + rejected."""

    read_count: int
    imported_count: int
    unlabelled_count: int
    rejects: tuple[tuple[int, str], ...]
    """Line and reason of each labelled line that the run cannot use."""
    unbinned_count: int
    """Imported, but the run does not know the activation (zero or below), so in no bin."""
    was_current: bool
    """The same labels were there already."""


def read_labels(source: Path, sheet: Path | None = None) -> LabelFile:
    """Read a filled sheet, or any CSV with the columns ``example_id`` and ``label``.

    Args:
        source: The CSV, or the folder of a sheet. Comma, semicolon or tab separated, UTF-8.
        sheet: The sheet's folder, if the CSV lies elsewhere.

    Raises:
        SourceError: It is not such a file, or lines are wrong; the first ones are listed.
    """
    path = source / LABELS_FILE if source.is_dir() else source
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"{path} cannot be read: {error}.",
            "Give the folder of a sheet, or a CSV in UTF-8 as neurons label export writes it.",
        ) from error
    names, records = _parse(path, text)
    if "label" not in names or not {"item", "example_id"} & set(names):
        raise SourceError(
            f"{path} has the columns {', '.join(names) or '(none)'}.",
            "It needs sheet, item and label, as neurons label export writes them; or example_id and "
            "label, with --layer and --unit.",
        )
    if "item" not in names:
        return LabelFile(path, _rows_by_example(path, records), None)
    folder = sheet or path.parent
    key = _read_key(folder / SHEET_FILE if folder.is_dir() else folder, path)
    return LabelFile(path, _rows_of_sheet(path, records, key), key)


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
                records.append((begin, {n: f.strip() for n, f in zip(names, padded, strict=False)}))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise SourceError(
            f"{path} line {reader.line_num + 1} is not CSV: {error}.", "Mend that line."
        ) from error
    return names, records


def _read_key(path: Path, labels: Path) -> dict[str, Any]:
    try:
        key = json.loads(path.read_text(encoding="utf-8"))
        return {**key, "items": {entry["item"]: entry["example_id"] for entry in key["items"]}}
    except OSError as error:
        raise SourceError(
            f"{labels} is a sheet's, but there is no {path}: {error.strerror}.",
            "Name the folder that neurons label export wrote: --sheet FOLDER.",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{path} is not the key of a sheet: {error!r}.",
            "Restore it, or export the sheet again.",
        ) from error


def _rows_of_sheet(
    path: Path, records: list[tuple[int, dict[str, str]]], key: dict[str, Any]
) -> tuple[LabelRow, ...]:
    rows: list[LabelRow] = []
    problems: list[str] = []
    seen: dict[int, int] = {}
    for line, record in records:
        item = _whole_number(record["item"])
        if record.get("sheet", key["sheet"]) != key["sheet"]:
            problems.append(f"line {line} is of sheet {record['sheet']!r}, not {key['sheet']!r}")
        elif item is None or item not in key["items"]:
            count = len(key["items"])
            problems.append(f"line {line}: there is no item {record['item']!r}, only 1 to {count}")
        elif item in seen:
            problems.append(f"line {line}: item {item} was on line {seen[item]} already")
        else:
            seen[item] = line
            example_id = key["items"][item]
            rows.append(LabelRow(line, example_id, record["label"], record.get("note", "")))
    _refuse(path, problems)
    return tuple(rows)


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


def import_labels(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    neuron: dict[str, Any],
    labels: LabelFile,
    labeller: str,
) -> ImportSummary:
    """Write what a person said of a neuron's images, in place of what that person said of it before.

    A line without a label is left for later. A line whose example the run does not hold, or holds as a
    repeated image, is rejected. Repeating an import does nothing.

    Args:
        connection: Of ``pipeline.connect``.
        store: The warehouse.
        neuron: ``dataset``, ``run_id``, ``layer`` and ``unit``.
        labels: Of `read_labels`.
        labeller: Who labelled.

    Raises:
        ConfigError: The labeller has no name, or the sheet is another neuron's.
        SourceError: The file has no label that the run can use.
    """
    labeller = labeller.strip()
    if not labeller:
        raise ConfigError("The labeller has no name.", "Say who labelled: --labeller NAME.")
    check_sheet(labels, neuron)
    given = [row for row in labels.rows if row.label]
    known = _find_examples(connection, neuron, [row.example_id for row in given])
    rejects = [
        (row.line, "repeated image: an earlier example shows it" if found else "not in the run")
        for row in given
        if (found := known.get(row.example_id)) is None or found[0]
    ]
    rejected_lines = {line for line, _ in rejects}
    taken = [row for row in given if row.line not in rejected_lines]
    if not taken:
        raise SourceError(
            f"{labels.path} has no label to import: {len(labels.rows)} lines, "
            f"{len(labels.rows) - len(given)} not labelled, {len(rejects)} rejected.",
            "Fill the column label; example_ids must be of this run.",
        )
    taken.sort(key=lambda row: row.example_id)
    activations = [known[row.example_id][1] for row in taken]
    was_current = _write(store, neuron, labeller, taken, activations)
    return ImportSummary(
        len(labels.rows),
        len(taken),
        len(labels.rows) - len(given),
        tuple(rejects),
        sum(value is None for value in activations),
        was_current,
    )


def check_sheet(labels: LabelFile, neuron: dict[str, Any]) -> None:
    """Refuse a sheet of another neuron.

    Raises:
        ConfigError: Both are named.
    """
    if labels.sheet is not None:
        there = {name: labels.sheet.get(name) for name in neuron}
        if there != neuron:
            raise ConfigError(
                f"The sheet of {labels.path} is of {_describe(there)}, not of {_describe(neuron)}.",
                "Leave out --layer, --unit, --run and --dataset: a sheet knows its neuron.",
            )


def _describe(neuron: dict[str, Any]) -> str:
    return (
        f"unit {neuron['unit']} of {neuron['layer']!r}, "
        f"run {neuron['run_id']!r} of {neuron['dataset']!r}"
    )


def _find_examples(
    connection: duckdb.DuckDBPyConnection, neuron: dict[str, Any], ids: list[int]
) -> dict[int, tuple[bool, float | None]]:
    """Whether each example of the run is a repeated image, and the neuron's activation if known.

    What is not stored is zero or below; where the neuron is never below zero, it is zero.
    """
    rows = connection.execute(
        """
        with

        wanted as (select unnest($ids::bigint[]) as example_id),

        known as (
            select example_id, activation
            from raw_shard_samples
            where dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
            union all
            select example_id, activation
            from raw_shard_top
            where dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
            union all
            select example_id, activation
            from stg_activations
            where dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
        ),

        least as (
            select coalesce(min(activation_min) >= 0, false) as is_never_negative
            from stg_neuron_moments
            where dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
        )

        select
            wanted.example_id,
            any_value(examples.is_duplicate),
            coalesce(
                max(known.activation), case when any_value(least.is_never_negative) then 0.0 end
            )
        from wanted
        cross join least
        inner join stg_run_examples as examples
            on
                wanted.example_id = examples.example_id
                and examples.dataset = $dataset and examples.run_id = $run_id
        left join known on wanted.example_id = known.example_id
        group by wanted.example_id
        """,
        {**neuron, "ids": ids},
    ).fetchall()
    return {example_id: (is_duplicate, value) for example_id, is_duplicate, value in rows}


def _write(
    store: Store,
    neuron: dict[str, Any],
    labeller: str,
    rows: list[LabelRow],
    activations: list[float | None],
) -> bool:
    """Write the table, then the record that names it. Returns whether the same was there already."""
    run = partition(run_id=neuron["run_id"])
    folder = f"{dataset_folder(neuron['dataset'])}/{run}/human_labels"
    # A letter first: what a killed extraction leaves behind is known by a shard's number.
    name = f"labels-{digest([neuron['layer'], neuron['unit'], labeller])}"
    made_from = digest([(row.example_id, row.label, row.note) for row in rows] + activations)
    place = f"{folder}/{partition(layer=neuron['layer'])}"
    rel = f"{place}/{name}-{made_from}.parquet"
    with store.lock(f"{folder}/{name}.lock"):
        before = store.read_json(f"{folder}/{name}.json") if _has(store, folder, name) else None
        if before is not None and before["files"][0]["path"] == rel:
            return True
        now = datetime.now(UTC)
        columns = [
            [neuron["unit"]] * len(rows),
            [row.example_id for row in rows],
            [row.label for row in rows],
            [labeller] * len(rows),
            [row.note or None for row in rows],
            [now] * len(rows),
            activations,
        ]
        schema = TABLES["human_labels"].arrow_schema()
        arrays = [pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)]
        size = store.write_parquet(rel, pa.Table.from_arrays(arrays, schema=schema))
        file = {"table": "human_labels", "path": rel, "layer": neuron["layer"]}
        record = {
            "layer": neuron["layer"],
            "unit": neuron["unit"],
            "labeller": labeller,
            "imported_at": now.isoformat(timespec="seconds"),
            "files": [{**file, "row_count": len(rows), "bytes": size}],
        }
        store.write_json(f"{folder}/{name}.json", record)
        # Open connections may still read the file before this one, but none before that.
        keep = {rel, before["files"][0]["path"] if before else rel}
        for other in store.list(place, ".parquet"):
            if other.startswith(f"{name}-") and f"{place}/{other}" not in keep:
                store.delete(f"{place}/{other}")
    return False


def _has(store: Store, folder: str, name: str) -> bool:
    return store.exists(f"{folder}/{name}.json")
