"""Bytes by table of a run for each way to keep activations, from some examples that are written for it.

They are measured of all the examples and of half of them. What activations and embeddings take grows by the
same with every example. The partials of a shard hardly grow: it keeps the top examples of each neuron, and
samples and counts of the octaves that its activations span; they are carried on by what a doubling adds.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log2

import torch

from pipeline.base.storage import Store
from pipeline.extract.kept import NONE, choose_kept
from pipeline.extract.results import LayerOutput, Results
from pipeline.extract.write import ShardWriter
from pipeline.tables.datasets import Shard

CHOICES = ("auto", "all", "top:0.01", NONE)
"""What ``--store`` may be told, for comparison."""

BY_EXAMPLE = ("activations", "embeddings")
"""Tables that grow with the examples; of the others each shard has its own, whatever its size."""


@dataclass(frozen=True)
class Sizes:
    """Bytes by table of what was written of some examples, for each choice of ``--store``."""

    example_count: int
    by_store: Mapping[str, Mapping[str, float]]
    half_count: int
    half_by_store: Mapping[str, Mapping[str, float]]
    """Of the first half of the examples."""
    top_k: int

    def of_shards(self, store: str, shard_sizes: Iterable[int]) -> dict[str, float]:
        """Bytes by table of shards of so many examples each."""
        total: Counter[str] = Counter()
        for size, shards in Counter(shard_sizes).items():
            for table in self.by_store[store]:
                total[table] += round(self._of_shard(store, table, size) * shards)
        return {table: float(total[table]) for table in self.by_store[store]}

    def _of_shard(self, store: str, table: str, size: int) -> float:
        """Bytes of one, never less than nothing."""
        counts = self.example_count, self.half_count
        if not (size and self.half_count):
            return self.by_store[store][table]
        grown = (size - counts[0]) / (counts[0] - counts[1])  # in steps from half to whole
        doublings = log2(size / counts[0]) / log2(counts[0] / counts[1])
        most = (
            self.top_k if table == "shard_top" else 1
        )  # rows of a neuron, beside what a row takes
        by = [min(most, n) for n in (*counts, size)]
        whole, half = (sizes[store][table] for sizes in (self.by_store, self.half_by_store))
        each, each_of_half = whole / by[0], half / by[1]
        step = grown if table in BY_EXAMPLE else doublings
        return max(0.0, each + (each - each_of_half) * step) * by[2]


def measure_sizes(
    held: Sequence[Results],
    outputs: Sequence[LayerOutput],
    stores: Iterable[str],
    duplicates: torch.Tensor,
    top_k: int,
) -> Sizes:
    """Write some examples of a shard in every way; into a folder that is thrown away.

    Args:
        held: Their results, in order of example_id.
        outputs: The layers.
        stores: Choices of ``--store``.
        duplicates: As of `ShardWriter`.
        top_k: As of `ShardWriter`.
    """
    count = sum(len(results.example_ids) for results in held)

    def write(store: str, some: Sequence[Results]) -> dict[str, float]:
        kept = [replace(o, store=choose_kept(store, o.layer.is_rectified)) for o in outputs]
        return _write(some, kept, duplicates, top_k)

    half = _first(held, count // 2)
    stores = tuple(stores)
    return Sizes(
        count,
        {store: write(store, held) for store in stores},
        count // 2,
        {store: write(store, half) for store in stores} if half else {},
        top_k,
    )


def _write(
    held: Sequence[Results],
    outputs: Sequence[LayerOutput],
    duplicates: torch.Tensor,
    top_k: int,
) -> dict[str, float]:
    """Bytes by table."""
    count = sum(len(results.example_ids) for results in held)
    shard = Shard(0, "", "", 0)
    with tempfile.TemporaryDirectory() as folder:
        writer = ShardWriter(
            Store(folder), "run", shard, tuple(outputs), duplicates, top_k, 1 << 30, None, count
        )
        for results in held:
            writer.add(results)
        found: Counter[str] = Counter()
        for file in writer.finish():
            found[file["table"]] += file["bytes"]
    return {table: float(size) for table, size in found.items()}


def _first(held: Sequence[Results], count: int) -> list[Results]:
    """The first ``count`` examples."""
    found: list[Results] = []
    for results in held:
        some = results.first(count)
        count -= len(some.example_ids)
        if len(some.example_ids):
            found.append(some)
    return found
