"""One layer's activations as a Parquet file, unit after unit; packed where they lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from pipeline.base.storage import PAGE_CHECKSUMS, Store, Written
from pipeline.extract.device import to_host
from pipeline.extract.kept import Kept
from pipeline.extract.primitives import find_true, repeat
from pipeline.extract.ranking import INTEGERS

UNITS_PER_ROW_GROUP = 128
MIN_ROWS_PER_GROUP = 122_880
"""Row groups hold 128 units, or more units where a shard is so small that groups would be tiny."""

_Columns = tuple[np.ndarray[Any, Any], ...]

ARROW_TYPES = {torch.float16: pa.float16(), torch.float32: pa.float32()}


def write_activations(
    store: Store, rel: str, values: torch.Tensor, example_ids: torch.Tensor, keep: str
) -> tuple[int, Written]:
    """Write one activation file, unit-major.

    Args:
        store: The warehouse.
        rel: The file's path in it.
        values: ``[U, N]``, contiguous, float16 or float32, finite, on any device.
        example_ids: int64 ``[N]``, ascending, on the CPU.
        keep: ``positive`` keeps values above zero, ``all`` keeps every one.

    Returns:
        How many rows, and the file.
    """
    return _write(store, rel, len(values), values.dtype, _row_groups(values, example_ids, keep))


def write_strongest(store: Store, rel: str, unit_count: int, kept: Kept) -> tuple[int, Written]:
    """The same of each neuron's strongest activations, which were found before.

    Args:
        store: The warehouse.
        rel: The file's path in it.
        unit_count: Neurons of the layer.
        kept: Of `kept.merge_strongest`.
    """
    return _write(store, rel, unit_count, kept[2].dtype, _slices(unit_count, kept))


def _write(
    store: Store, rel: str, unit_count: int, dtype: torch.dtype, groups: Iterable[_Columns]
) -> tuple[int, Written]:
    unit_type = pa.uint16() if unit_count <= 1 << 16 else pa.uint32()
    value_type = ARROW_TYPES[dtype]
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
            for columns in groups:
                table = pa.Table.from_arrays(
                    [pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)],
                    schema=schema,
                )
                writer.write_table(table, row_group_size=max(1, len(table)))
                rows += len(table)

    written = store.write_with(rel, write)
    return rows, written


def _slices(unit_count: int, kept: Kept) -> Iterator[_Columns]:
    """Columns of each row group, of what is packed already."""
    unit_dtype = np.uint16 if unit_count <= 1 << 16 else np.uint32
    unit, *others = (column.numpy() for column in kept)
    step = max(UNITS_PER_ROW_GROUP, MIN_ROWS_PER_GROUP * unit_count // max(1, len(unit)))
    for start in range(0, unit_count, step):
        begin, end = np.searchsorted(unit, (start, start + step))
        yield unit[begin:end].astype(unit_dtype), *(column[begin:end] for column in others)


def _row_groups(values: torch.Tensor, example_ids: torch.Tensor, keep: str) -> Iterator[_Columns]:
    """Columns (unit, example_id, activation) of each row group, packed on the device."""
    unit_count, count = values.shape
    step = max(UNITS_PER_ROW_GROUP, MIN_ROWS_PER_GROUP // max(1, count))
    unit_dtype = np.uint16 if unit_count <= 1 << 16 else np.uint32
    ids = example_ids.to(values.device)
    for start in range(0, unit_count, step):
        block = values[start : start + step]
        units = np.arange(start, start + len(block), dtype=unit_dtype)
        if keep == "all":
            (kept,) = to_host([block.flatten()])
            yield np.repeat(units, count), np.tile(example_ids.numpy(), len(units)), kept.numpy()
            continue
        # A float above zero is an integer above zero of the same bits, and those compare fast.
        is_kept = block.view(INTEGERS[block.dtype]) > 0
        places, counts = find_true(is_kept), is_kept.sum(1)
        begins = torch.arange(len(block), device=block.device) * count
        columns = places - repeat(begins, counts)
        packed = (counts, ids.index_select(0, columns), block.flatten().index_select(0, places))
        counts, kept_ids, kept = to_host(packed)
        yield np.repeat(units, counts.numpy()), kept_ids.numpy(), kept.numpy()
