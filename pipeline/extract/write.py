"""One shard's outputs: activations, partials, embeddings, rejects; the manifest last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
import pyarrow as pa
import torch

from pipeline.base.errors import ActivationError
from pipeline.base.storage import Store, partition
from pipeline.extract.activation_file import write_activations, write_strongest
from pipeline.extract.device import beside
from pipeline.extract.kept import (
    NONE,
    Kept,
    count_kept,
    find_strongest,
    is_share,
    merge_strongest,
)
from pipeline.extract.partial_tables import (
    PartialTable,
    name_attempt,
    partial_tables,
    write_partials,
)
from pipeline.extract.ranking import are_finite
from pipeline.extract.results import LayerOutput, Results
from pipeline.extract.sketch import Partials, merge, sketch
from pipeline.tables.columns import EXAMPLE_ID_BITS
from pipeline.tables.datasets import Shard
from pipeline.tables.manifest_files import shard_file
from pipeline.tables.manifests import FileEntry, make_entry
from pipeline.tables.schema import TABLES

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class ShardWriter:
    """Collects a shard's results and writes them in parts that fit the memory budget.

    Args:
        store: The warehouse.
        folder: The run's folder in it.
        shard: Which shard.
        outputs: The layers and how they are stored.
        duplicates: int64, sorted: example_ids whose image an earlier example showed.
        top_k: Rows of ``shard_top`` for each neuron and polarity.
        memory_budget: Bytes of activations to hold before a part is written.
        threads: Where layers and tables are written side by side; one after the other if None.
        most_examples: Examples that the shard has at most: some may yet be rejected.
        is_alone: Whether nobody else can be writing this shard.
    """

    store: Store
    folder: str
    shard: Shard
    outputs: tuple[LayerOutput, ...]
    duplicates: torch.Tensor
    top_k: int
    memory_budget: int
    threads: ThreadPoolExecutor | None = None
    most_examples: int = 1 << EXAMPLE_ID_BITS
    is_alone: bool = True
    files: list[FileEntry] = field(default_factory=list)
    added_count: int = 0
    canonical_count: int = 0

    def __post_init__(self) -> None:
        # not alone: without locks, or where one hangs
        self._attempt = name_attempt(self.is_alone)
        self._held: list[Results] = []
        self._held_bytes = 0
        self._parts = 0
        self._partials: dict[str, list[Partials]] = {o.layer.name: [] for o in self.outputs}
        self._strongest: dict[str, list[Kept]] = {o.layer.name: [] for o in self.outputs}

    def add(self, results: Results) -> None:
        """Take one batch. Examples of a shard come in ascending order of example_id.

        Raises:
            ActivationError: A finite activation does not fit the stored type.
        """
        for output in self.outputs:
            values = results.pooled[output.layer.name]
            if not are_finite(values):
                worst = int((~torch.isfinite(values)).any(1).int().argmax())
                raise ActivationError(
                    f"Layer {output.layer.name!r} has activations beyond float16 (65504) "
                    f"in shard {self.shard.name!r}, example {int(results.example_ids[worst])}.",
                    "Store this run in single precision: --activation-dtype float32.",
                )
            self._held_bytes += values.nbytes
            if output.layer.name in results.peaks:
                self._held_bytes += results.peaks[output.layer.name].nbytes
        self._held_bytes += results.embeddings.nbytes
        self._held.append(results)
        self.added_count += len(results.example_ids)
        if self._held_bytes >= self.memory_budget:
            self._write_part()

    def finish(self) -> list[FileEntry]:
        """Write what is left and the partials. Returns the files, for the manifest."""
        self._write_part(is_whole=self._parts == 0)
        shares = [output for output in self.outputs if is_share(output.store)]
        self.files += self._each(self._write_share, shares)
        self.files += self._each(self._write_partials, self._partial_tables())
        for output in self.outputs:
            self._drop_leftover_parts(f"activations/{partition(layer=output.layer.name)}")
        self._drop_leftover_parts("embeddings")
        return self.files

    def _each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Results of all items, in order; side by side if there are threads."""
        return list((self.threads.map if self.threads else map)(work, items))

    def _write_part(self, is_whole: bool = False) -> None:
        """Write what is held; nothing if that is no example, unless it is the whole shard."""
        if not (self._held or is_whole):
            return
        held, self._held, self._held_bytes = self._held, [], 0
        none = torch.zeros(0, dtype=torch.int64)
        ids = torch.cat([r.example_ids for r in held]) if held else none
        is_duplicate = torch.isin(ids, self.duplicates)
        self.canonical_count += int((~is_duplicate).sum())
        work = partial(self._write_layer, held, ids, is_duplicate, is_whole)
        for output, (entry, partials) in zip(
            self.outputs, self._each(work, self.outputs), strict=True
        ):
            self.files += entry
            self._partials[output.layer.name].append(partials)
        vectors = [r.embeddings for r in held]
        embeddings = torch.cat(vectors) if vectors else torch.zeros(0, 1, dtype=torch.float16)
        width = embeddings.shape[1]
        offsets = np.arange(len(ids) + 1, dtype=np.int32) * width
        table = pa.Table.from_arrays(
            [
                pa.array(ids.numpy()),
                pa.ListArray.from_arrays(offsets, pa.array(embeddings.numpy().ravel())),
            ],
            schema=TABLES["embeddings"].arrow_schema(),
        )
        rel = self._part_file("embeddings")
        written = self.store.write_parquet(rel, table, use_dictionary=False)
        self.files.append(make_entry("embeddings", rel, len(ids), written))
        self._parts += 1

    def _write_layer(
        self,
        held: list[Results],
        ids: torch.Tensor,
        is_duplicate: torch.Tensor,
        is_whole: bool,
        output: LayerOutput,
    ) -> tuple[list[FileEntry], Partials]:
        """A layer's activations of a part, into a file if they are kept so, and their partials."""
        name = output.layer.name
        columns = [r.pooled[name].T for r in held]
        empty = torch.zeros(output.layer.unit_count, 0, dtype=output.dtype)
        with beside(columns[0].device if columns else empty.device):
            values = torch.cat(columns, dim=1) if columns else empty  # unit-major, contiguous
            there = (values, ids.to(values.device), is_duplicate.to(values.device))
            peaks = [r.peaks[name].T for r in held if name in r.peaks]
            where = torch.cat(peaks, dim=1) if peaks else None
            part = sketch(*there, self.top_k, output.is_one_sided, is_whole, where).to_host()
            if is_share(output.store):  # of the whole shard: its file is written when that is known
                most = count_kept(output.store, self.most_examples)
                strongest = find_strongest(values, ids, most, output.is_one_sided)
                self._strongest[name].append(strongest)
            if output.store == NONE or is_share(output.store):
                return [], part
            rel = self._part_file(f"activations/{partition(layer=name)}")
            rows, written = write_activations(self.store, rel, values, ids, output.store)
        return [make_entry("activations", rel, rows, written, name)], part

    def _write_share(self, output: LayerOutput) -> FileEntry:
        """A layer's strongest activations of the shard."""
        name = output.layer.name
        kept = merge_strongest(
            self._strongest.pop(name), count_kept(output.store, self.added_count)
        )
        rel = self._part_file(f"activations/{partition(layer=name)}", 0)
        rows, written = write_strongest(self.store, rel, output.layer.unit_count, kept)
        return make_entry("activations", rel, rows, written, name)

    def _partial_tables(self) -> Iterator[tuple[str, PartialTable]]:
        """Layer by layer, so that the tables of one are held at a time, unless threads ask for more."""
        for output in self.outputs:
            whole = merge(self._partials[output.layer.name], self.top_k)
            for table in partial_tables(whole, self.shard.ordinal):
                yield output.layer.name, table

    def _write_partials(self, layer_and_table: tuple[str, PartialTable]) -> FileEntry:
        layer, table = layer_and_table
        place = (self.shard.ordinal, self._attempt)
        return write_partials(self.store, self.folder, layer, table, place)

    def name_file(self, table: str) -> str:
        """Where a table of the shard goes that has one part."""
        return shard_file(self.folder, table, self.shard.ordinal, f"{self._attempt}.parquet")

    def _part_file(self, table: str, part: int | None = None) -> str:
        part = self._parts if part is None else part
        suffix = (f"-{part}" if part else "") + f"{self._attempt}.parquet"
        return shard_file(self.folder, table, self.shard.ordinal, suffix)

    def _drop_leftover_parts(self, table: str) -> None:
        """Delete parts that an interrupted attempt with a smaller memory budget left behind."""
        part = self._parts
        while self.store.is_local and self.store.exists(rel := self._part_file(table, part)):
            self.store.delete(rel)
            part += 1
