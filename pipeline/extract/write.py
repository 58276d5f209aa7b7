"""One shard's outputs: activations, partials, embeddings, rejects; the manifest last."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from pipeline.base.errors import ActivationError
from pipeline.base.storage import PAGE_CHECKSUMS, Store, Written, partition
from pipeline.clip.hooks import Layer
from pipeline.extract.reservoir import OCTAVES
from pipeline.extract.results import LayerOutput, Results
from pipeline.extract.sketch import HISTOGRAM_BINS, Partials, merge, ranks_within, sketch
from pipeline.tables.datasets import Shard, shard_file
from pipeline.tables.manifests import FileEntry, make_entry
from pipeline.tables.schema import TABLES

UNITS_PER_ROW_GROUP = 128
MIN_ROWS_PER_GROUP = 122_880
"""Row groups hold 128 units, or more units where a shard is so small that groups would be tiny."""
SAMPLES_PER_ROW_GROUP = 1 << 15

ARROW_TYPES = {torch.float16: pa.float16(), torch.float32: pa.float32()}


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
    """

    store: Store
    folder: str
    shard: Shard
    outputs: tuple[LayerOutput, ...]
    duplicates: torch.Tensor
    top_k: int
    memory_budget: int
    files: list[FileEntry] = field(default_factory=list)
    added_count: int = 0
    canonical_count: int = 0

    def __post_init__(self) -> None:
        # Without locks two processes may do the same shard: each has files of its own, and the
        # manifest that is written last names the files of one of them.
        self._attempt = "" if self.store.is_local else f"-{uuid.uuid4().hex[:8]}"
        self._held: list[Results] = []
        self._held_bytes = 0
        self._parts = 0
        self._partials: dict[str, list[Partials]] = {o.layer.name: [] for o in self.outputs}

    def add(self, results: Results) -> None:
        """Take one batch. Examples of a shard come in ascending order of example_id.

        Raises:
            ActivationError: A finite activation does not fit the stored type.
        """
        for output in self.outputs:
            values = results.pooled[output.layer.name]
            if not bool(torch.isfinite(values).all()):
                worst = int((~torch.isfinite(values)).any(1).int().argmax())
                raise ActivationError(
                    f"Layer {output.layer.name!r} has activations beyond float16 (65504) "
                    f"in shard {self.shard.name!r}, example {int(results.example_ids[worst])}.",
                    "Store this run in single precision: --activation-dtype float32.",
                )
            self._held_bytes += values.nbytes
        self._held_bytes += results.embeddings.nbytes
        self._held.append(results)
        self.added_count += len(results.example_ids)
        if self._held_bytes >= self.memory_budget:
            self._write_part()

    def finish(self) -> list[FileEntry]:
        """Write what is left and the partials. Returns the files, for the manifest."""
        self._write_part(is_whole=self._parts == 0)
        for output in self.outputs:
            name = output.layer.name
            self._write_partials(output, merge(self._partials[name], self.top_k))
            self._drop_leftover_parts(f"activations/{partition(layer=name)}")
        self._drop_leftover_parts("embeddings")
        return self.files

    def _write_part(self, is_whole: bool = False) -> None:
        """Write what is held; nothing if that is no example, unless it is the whole shard."""
        if not (self._held or is_whole):
            return
        held, self._held, self._held_bytes = self._held, [], 0
        none = torch.zeros(0, dtype=torch.int64)
        ids = torch.cat([r.example_ids for r in held]) if held else none
        is_duplicate = torch.isin(ids, self.duplicates)
        self.canonical_count += int((~is_duplicate).sum())
        for output in self.outputs:
            name = output.layer.name
            columns = [r.pooled[name].T for r in held]
            empty = torch.zeros(output.layer.unit_count, 0, dtype=output.dtype)
            values = torch.cat(columns, dim=1) if columns else empty  # unit-major, contiguous
            rel = self._part_file(f"activations/{partition(layer=name)}")
            rows, written = write_activations(self.store, rel, values, ids.numpy(), output.store)
            self.files.append(make_entry("activations", rel, rows, written, name))
            self._partials[name].append(
                sketch(values, ids, is_duplicate, self.top_k, output.store == "positive", is_whole)
            )
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

    def _write_partials(self, output: LayerOutput, partials: Partials) -> None:
        layer, ordinal = output.layer, self.shard.ordinal
        moments = partials.moments.numpy()
        units = np.arange(layer.unit_count, dtype=np.int32)
        counts = [moments[i].astype(np.int64) for i in range(4)]
        extremes = [pa.array(moments[i].astype(np.float32), mask=counts[0] == 0) for i in (6, 7)]
        self._write_table(
            "shard_stats",
            layer,
            [
                units,
                np.full_like(units, ordinal),
                *counts,
                *(moments[i] for i in (4, 5)),
                *extremes,
                *moments[8:],
            ],
        )
        where, bins = partials.histogram.numpy().nonzero()
        self._write_table(
            "shard_histograms",
            layer,
            [
                where.astype(np.int32),
                np.full(len(where), ordinal, np.int32),
                (bins - HISTOGRAM_BINS).astype(np.int16),
                partials.histogram.numpy()[where, bins],
            ],
        )
        columns: list[list[Any]] = []
        for polarity, (unit, example_id, activation) in partials.top.items():
            columns.append(
                [
                    unit.int().numpy(),
                    np.full(len(unit), ordinal, np.int32),
                    np.full(len(unit), polarity, object),
                    (ranks_within(unit) + 1).int().numpy(),
                    example_id.numpy(),
                    activation.float().numpy(),
                ]
            )
        self._write_table(
            "shard_top", layer, [np.concatenate(parts) for parts in zip(*columns, strict=True)]
        )
        samples = partials.samples
        self._write_table(
            "shard_samples",
            layer,
            [
                samples.unit.astype(np.int32),
                np.full(len(samples.unit), ordinal, np.int32),
                samples.bin.astype(np.int16),
                samples.counts[samples.unit, samples.bin + OCTAVES],
                samples.example_id,
                samples.activation.astype(np.float32),
            ],
            # few examples, again and again: they are the same for every neuron
            use_dictionary=["unit", "shard_ordinal", "bin", "bin_example_count", "example_id"],
            column_encoding={"activation": "BYTE_STREAM_SPLIT"},
            row_group_size=SAMPLES_PER_ROW_GROUP,
        )

    def _write_table(self, name: str, layer: Layer, columns: list[Any], **options: Any) -> None:
        schema = TABLES[name].arrow_schema()
        arrays = [
            column if isinstance(column, pa.Array) else pa.array(column, kind)
            for column, kind in zip(columns, schema.types, strict=True)
        ]
        folder = f"{name}/{partition(layer=layer.name)}"
        rel = shard_file(self.folder, folder, self.shard.ordinal, f"{self._attempt}.parquet")
        table = pa.Table.from_arrays(arrays, schema=schema)
        written = self.store.write_parquet(rel, table, **options)
        self.files.append(make_entry(name, rel, len(table), written, layer.name))


def write_activations(
    store: Store, rel: str, values: torch.Tensor, example_ids: np.ndarray[Any, Any], keep: str
) -> tuple[int, Written]:
    """Write one activation file, unit-major.

    Args:
        store: The warehouse.
        rel: The file's path in it.
        values: ``[U, N]``, contiguous, float16 or float32, finite.
        example_ids: int64 ``[N]``, ascending.
        keep: ``positive`` keeps values above zero, ``all`` keeps every one.

    Returns:
        How many rows, and the file.
    """
    unit_type = pa.uint16() if len(values) <= 1 << 16 else pa.uint32()
    value_type = ARROW_TYPES[values.dtype]
    schema = pa.schema(
        [("unit", unit_type), ("example_id", pa.int64()), ("activation", value_type)]
    )
    rows = 0

    def write(path: str) -> None:
        nonlocal rows
        with pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=["unit"],
            column_encoding={"example_id": "DELTA_BINARY_PACKED", "activation": "PLAIN"},
            write_statistics=["unit", "example_id"],
            **PAGE_CHECKSUMS,
        ) as writer:
            for columns in _row_groups(values, example_ids, keep):
                table = pa.Table.from_arrays(
                    [pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)],
                    schema=schema,
                )
                writer.write_table(table, row_group_size=max(1, len(table)))
                rows += len(table)

    written = store.write_with(rel, write)
    return rows, written


def _row_groups(
    values: torch.Tensor, example_ids: np.ndarray[Any, Any], keep: str
) -> Iterator[tuple[np.ndarray[Any, Any], ...]]:
    """Columns (unit, example_id, activation) of each row group, in buffers that are used again."""
    unit_count, count = values.shape
    step = max(UNITS_PER_ROW_GROUP, MIN_ROWS_PER_GROUP // max(1, count))
    matrix: np.ndarray[Any, np.dtype[Any]] = values.numpy()
    # A float above zero is an integer above zero of the same bits, and those compare fast.
    bits = matrix.view(np.int16 if matrix.dtype == np.float16 else np.int32)
    room = min(step, unit_count) * count
    unit_dtype = np.uint16 if unit_count <= 1 << 16 else np.uint32
    ids, kept = np.empty(room, np.int64), np.empty(room, matrix.dtype)
    for start in range(0, unit_count, step):
        units = np.arange(start, min(start + step, unit_count), dtype=unit_dtype)
        if keep == "all":
            block = matrix[start : start + step]
            yield np.repeat(units, count), np.tile(example_ids, len(units)), block.ravel()
            continue
        end, counts = 0, []
        for unit in range(start, start + len(units)):
            columns = np.flatnonzero(bits[unit] > 0)
            begin, end = end, end + len(columns)
            np.take(example_ids, columns, out=ids[begin:end], mode="clip")
            np.take(matrix[unit], columns, out=kept[begin:end], mode="clip")
            counts.append(len(columns))
        yield np.repeat(units, counts), ids[:end], kept[:end]
