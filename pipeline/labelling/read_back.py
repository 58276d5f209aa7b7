"""Labels that people gave to images, written into a run: compared with it, counted, replaced as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline.base.errors import ConfigError, SourceError
from pipeline.base.leftovers import clear_half_written
from pipeline.base.locks import hold_lock
from pipeline.base.settings import digest
from pipeline.base.storage import Store, partition
from pipeline.labelling.files import LabelFile, LabelRow
from pipeline.tables.datasets import run_folder
from pipeline.tables.manifests import make_entry
from pipeline.tables.records import read_record
from pipeline.tables.runs import HumanLabelsRecord
from pipeline.tables.schema import TABLES
from pipeline.warehouse.find import Neuron

if TYPE_CHECKING:
    import duckdb


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


def import_labels(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    neuron: Neuron,
    labels: LabelFile,
    labeller: str,
) -> ImportSummary:
    """Write what a person said of a neuron's images, in place of what that person said of it before.

    A line without a label is left for later. A line whose example the run does not hold, or holds as a
    repeated image, is rejected. Repeating an import does nothing.

    Args:
        connection: Of ``pipeline.connect``.
        store: The warehouse.
        neuron: Which they are of.
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


def check_sheet(labels: LabelFile, neuron: Neuron) -> None:
    """Refuse a sheet of another neuron.

    Raises:
        ConfigError: Both are named.
    """
    if labels.sheet is not None and labels.sheet.neuron != neuron:
        there = _describe(labels.sheet.neuron)
        raise ConfigError(
            f"The sheet of {labels.path} is of {there}, not of {_describe(neuron)}.",
            "Leave out --layer, --unit, --run and --dataset: a sheet knows its neuron.",
        )


def _describe(neuron: Neuron) -> str:
    return f"unit {neuron.unit} of {neuron.layer!r}, run {neuron.run_id!r} of {neuron.dataset!r}"


def _find_examples(
    connection: duckdb.DuckDBPyConnection, neuron: Neuron, ids: list[int]
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
            from raw_merged_samples
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
            select coalesce(min(activation_min) >= 0, false) and not any_value(is_cut) as is_never_negative
            from stg_neuron_moments
            inner join stg_layers using (dataset, run_id, layer)
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
        {**neuron.parameters, "ids": ids},
    ).fetchall()
    return {example_id: (is_duplicate, value) for example_id, is_duplicate, value in rows}


def _write(
    store: Store,
    neuron: Neuron,
    labeller: str,
    rows: list[LabelRow],
    activations: list[float | None],
) -> bool:
    """Write the table, then the record that names it. Returns whether the same was there already."""
    folder = f"{run_folder(neuron.dataset, neuron.run_id)}/human_labels"
    # A letter first: what a killed extraction leaves behind is known by a shard's number.
    name = f"labels-{digest([neuron.layer, neuron.unit, labeller])}"
    made_from = digest([(row.example_id, row.label, row.note) for row in rows] + activations)
    place = f"{folder}/{partition(layer=neuron.layer)}"
    rel = f"{place}/{name}-{made_from}.parquet"
    with hold_lock(store, f"{folder}/{name}.lock") as lock:
        clear_half_written(store, lock, folder, place, prefix=name)
        path = f"{folder}/{name}.json"
        before = read_record(store, path, HumanLabelsRecord) if store.exists(path) else None
        if before is not None and before["files"][0]["path"] == rel:
            return True
        now = datetime.now(UTC)
        columns = [
            [neuron.unit] * len(rows),
            [row.example_id for row in rows],
            [row.label for row in rows],
            [labeller] * len(rows),
            [row.note or None for row in rows],
            [now] * len(rows),
            activations,
        ]
        schema = TABLES["human_labels"].arrow_schema()
        arrays = [pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)]
        written = store.write_parquet(rel, pa.Table.from_arrays(arrays, schema=schema))
        record = {
            "layer": neuron.layer,
            "unit": neuron.unit,
            "labeller": labeller,
            "imported_at": now.isoformat(timespec="seconds"),
            "files": [make_entry("human_labels", rel, len(rows), written, neuron.layer)],
        }
        store.write_record(path, record, with_copy=True)
        # Open connections may still read the file before this one, but none before that.
        keep = {rel, before["files"][0]["path"] if before else rel}
        for other in store.list(place, ".parquet"):
            if other.startswith(f"{name}-") and f"{place}/{other}" not in keep:
                store.delete(f"{place}/{other}")
    return False
