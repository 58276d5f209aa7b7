"""Labels that people gave to images, written into a run: compared with it, counted, replaced as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import ConfigError, SourceError
from pipeline.base.storage import Store
from pipeline.labelling.files import LabelFile
from pipeline.labelling.said import PersonsLabels, Said
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


class KnownExample(NamedTuple):
    """An image of a run."""

    is_duplicate: bool
    """A repeated image."""
    activation: float | None
    """Of a neuron, if it is known."""


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
    known = find_examples(connection, neuron, [row.example_id for row in given])
    rejects = [
        (row.line, "repeated image: an earlier example shows it" if found else "not in the run")
        for row in given
        if (found := known.get(row.example_id)) is None or found.is_duplicate
    ]
    rejected_lines = {line for line, _ in rejects}
    taken = [row for row in given if row.line not in rejected_lines]
    if not taken:
        raise SourceError(
            f"{labels.path} has no label to import: {len(labels.rows)} lines, "
            f"{len(labels.rows) - len(given)} not labelled, {len(rejects)} rejected.",
            "Fill the column label; example_ids must be of this run.",
        )
    now = datetime.now(UTC)
    said = [
        Said(row.example_id, row.label, row.note, known[row.example_id].activation, now)
        for row in taken
    ]
    labels_there = PersonsLabels(store, neuron, labeller)
    with labels_there.hold():
        was_current = labels_there.write(said)
    return ImportSummary(
        len(labels.rows),
        len(taken),
        len(labels.rows) - len(given),
        tuple(rejects),
        sum(each.activation is None for each in said),
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


def find_examples(
    connection: duckdb.DuckDBPyConnection, neuron: Neuron, ids: list[int]
) -> dict[int, KnownExample]:
    """What a run knows of some images; those that it does not hold are left out.

    What is not stored is zero or below; where the neuron is never below zero, it is zero.

    Args:
        connection: Of ``pipeline.connect``.
        neuron: Whose activation.
        ids: Which examples.
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
    return {example_id: KnownExample(*known) for example_id, *known in rows}
