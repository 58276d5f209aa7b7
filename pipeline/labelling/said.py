"""What one person says of one neuron's images, on disk: a table, and the record that names it.

An import writes it whole, the explorer answer by answer; the same answers are the same file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from pipeline.base.leftovers import clear_half_written
from pipeline.base.locks import Lock, hold_lock
from pipeline.base.settings import digest
from pipeline.base.storage import Store, partition
from pipeline.tables.datasets import run_folder
from pipeline.tables.manifests import make_entry
from pipeline.tables.measured import HumanLabelsRecord
from pipeline.tables.records import read_record
from pipeline.tables.schema import TABLES
from pipeline.warehouse.find import Neuron


@dataclass(frozen=True)
class Said:
    """What a person says of one image."""

    example_id: int
    label: str
    note: str
    activation: float | None
    """Of the neuron; None if the run does not know it (zero or below)."""
    said_at: datetime
    """UTC."""


class PersonsLabels:
    """All that a person says of a neuron."""

    def __init__(self, store: Store, neuron: Neuron, labeller: str) -> None:
        """Args:
        store: The warehouse.
        neuron: Of which neuron.
        labeller: Who.
        """
        self._store, self._neuron, self._labeller = store, neuron, labeller
        self._folder = labels_folder(neuron.dataset, neuron.run_id)
        # A letter first: what a killed extraction leaves behind is known by a shard's number.
        self._name = f"labels-{digest([neuron.layer, neuron.unit, labeller])}"
        self._place = f"{self._folder}/{partition(layer=neuron.layer)}"
        self._record = f"{self._folder}/{self._name}.json"

    @contextmanager
    def hold(self) -> Iterator[Lock]:
        """Keep others from changing it."""
        with hold_lock(self._store, f"{self._folder}/{self._name}.lock") as lock:
            clear_half_written(self._store, lock, self._folder, self._place, prefix=self._name)
            yield lock

    @property
    def path(self) -> str | None:
        """The table that is current; None if nothing was said."""
        if not self._store.exists(self._record):
            return None
        record = read_record(self._store, self._record, HumanLabelsRecord)
        return record["files"][0]["path"]

    def read(self) -> dict[int, Said]:
        """What was said so far, by example."""
        path = self.path
        return (
            {} if path is None else {each.example_id: each for each in read_said(self._store, path)}
        )

    def write(self, said: Iterable[Said], keep: Collection[str] = ()) -> bool:
        """Write the table, then the record that names it; to be called while it is held.

        Args:
            said: All of it.
            keep: Earlier tables that open connections may still read, beside the one just before.

        Returns:
            Whether the same was there already.
        """
        rows = sorted(said, key=lambda row: row.example_id)
        activations = [row.activation for row in rows]
        made_from = digest([(row.example_id, row.label, row.note) for row in rows] + activations)
        rel = f"{self._place}/{self._name}-{made_from}.parquet"
        before = self.path
        if before == rel:
            return True
        columns = [
            [self._neuron.unit] * len(rows),
            [row.example_id for row in rows],
            [row.label for row in rows],
            [self._labeller] * len(rows),
            [row.note or None for row in rows],
            [row.said_at for row in rows],
            activations,
        ]
        schema = TABLES["human_labels"].arrow_schema()
        arrays = [pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)]
        table = pa.Table.from_arrays(arrays, schema=schema)
        written = self._store.write_parquet(rel, table)
        record = {
            "layer": self._neuron.layer,
            "unit": self._neuron.unit,
            "labeller": self._labeller,
            "imported_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": [make_entry("human_labels", rel, len(rows), written, self._neuron.layer)],
        }
        self._store.write_record(self._record, record, with_copy=True)
        # Open connections may still read the file before this one, but none before that.
        kept = {rel, before, *keep}
        for other in self._store.list(self._place, ".parquet"):
            if other.startswith(f"{self._name}-") and f"{self._place}/{other}" not in kept:
                self._store.delete(f"{self._place}/{other}")
        return False


def labels_folder(dataset: str, run_id: str) -> str:
    """Where labels by people of a run lie."""
    return f"{run_folder(dataset, run_id)}/human_labels"


def read_said(store: Store, path: str) -> list[Said]:
    """What a table holds.

    Args:
        store: The warehouse.
        path: As a record names it.
    """
    import pyarrow.parquet as pq

    with store.open(path) as file:
        table = pq.read_table(file)
    names = ("example_id", "category", "note", "activation", "labelled_at")
    columns = (table.column(name).to_pylist() for name in names)
    return [
        Said(example_id, label, note or "", activation, said_at)
        for example_id, label, note, activation, said_at in zip(*columns, strict=True)
    ]


def count_since(store: Store, dataset: str, run_id: str, moment: datetime) -> int:
    """How many answers people gave since a moment, of all neurons of a run.

    Args:
        store: The warehouse.
        dataset: Of the run.
        run_id: The run.
        moment: UTC.
    """
    folder = labels_folder(dataset, run_id)
    count = 0
    for name in store.list(folder, ".json"):
        record = read_record(store, f"{folder}/{name}", HumanLabelsRecord)
        if datetime.fromisoformat(record["imported_at"]) >= moment.replace(microsecond=0):
            said = read_said(store, record["files"][0]["path"])
            count += sum(each.said_at >= moment for each in said)
    return count
