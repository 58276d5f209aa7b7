"""Partials of a layer as rows of the tables that keep them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import torch

from pipeline.base.storage import Store, partition
from pipeline.extract.primitives import find_true
from pipeline.extract.ranking import ranks_within
from pipeline.extract.reservoir import BIN_COUNT, OCTAVES, Samples
from pipeline.extract.sketch import HISTOGRAM_BINS, Partials, Top
from pipeline.tables.manifest_files import shard_file
from pipeline.tables.manifests import FileEntry, make_entry
from pipeline.tables.schema import TABLES

SAMPLES_PER_ROW_GROUP = 1 << 15


@dataclass
class PartialTable:
    """One of the tables, the rows of one shard and layer, and how they are encoded."""

    name: str
    rows: pa.Table
    options: dict[str, Any] = field(default_factory=dict)


def partial_tables(partials: Partials, ordinal: int) -> Iterator[PartialTable]:
    """All tables of the partials (on the CPU) of a layer over the shard with this ordinal."""
    moments = _stats(partials.moments, ordinal)
    yield PartialTable("shard_stats", moments, _encoded(dictionaries=(), split=_split(moments)))
    yield PartialTable(
        "shard_histograms",
        _histograms(partials.histogram, ordinal),
        _encoded(dictionaries=("shard_ordinal", "bin", "example_count"), split=("unit",)),
    )
    # measured: a sixth less than level 1 where they are sorted, for 2 ms of a core per 100,000 rows
    level = {"compression_level": {"activation": 5}}
    yield PartialTable(
        "shard_top",
        _top(partials.top, ordinal),
        _encoded(
            dictionaries=("shard_ordinal", "polarity", "example_id"),
            split=("unit", "example_rank", "activation", "peak"),
        )
        | level
        | {"write_statistics": ["unit", "shard_ordinal", "example_rank", "example_id"]},
    )
    yield PartialTable(
        "shard_samples",
        _samples(partials.samples, ordinal),
        _encoded(
            # few examples, again and again: they are the same for every neuron
            dictionaries=("shard_ordinal", "bin", "example_id"),
            split=("unit", "bin_example_count", "activation", "peak"),
        )
        | level
        | {"row_group_size": SAMPLES_PER_ROW_GROUP},
    )


def _encoded(dictionaries: Sequence[str], split: Sequence[str]) -> dict[str, Any]:
    """Columns written as places in a list of their values; and byte by byte, all first bytes first, which zstd
    makes smaller than such places where the values follow each other or some are rarer than others."""
    return {
        "use_dictionary": list(dictionaries),
        "column_encoding": dict.fromkeys(split, "BYTE_STREAM_SPLIT"),
    }


def _split(table: pa.Table) -> list[str]:
    """All columns of numbers of four bytes or eight."""
    return [field.name for field in table.schema if field.type.byte_width >= 4]


def write_partials(
    store: Store, folder: str, layer: str, table: PartialTable, place: tuple[int, str]
) -> FileEntry:
    """Write one of the tables of a shard.

    Args:
        store: The warehouse.
        folder: The run's.
        layer: Whose partials they are.
        table: Of `partial_tables`.
        place: The shard's ordinal, and what its file is called beyond that.
    """
    ordinal, attempt = place
    where = f"{table.name}/{partition(layer=layer)}"
    rel = shard_file(folder, where, ordinal, f"{attempt}.parquet")
    written = store.write_parquet(rel, table.rows, **table.options)
    return make_entry(table.name, rel, len(table.rows), written, layer)


def name_attempt(is_alone: bool) -> str:
    """What files of a shard are called beyond its number, if somebody else can be writing it too: two
    processes have files of their own, and the manifest that is written last names those of one of them."""
    return "" if is_alone else f"-{uuid.uuid4().hex[:8]}"


def _stats(moments: torch.Tensor, ordinal: int) -> pa.Table:
    is_empty = (moments[0] == 0).numpy()
    extremes = [pa.array(row.float().numpy(), mask=is_empty) for row in moments[6:8]]
    units, counts = torch.arange(moments.shape[1]), moments[:4].long()
    return _table("shard_stats", units, ordinal, *counts, *moments[4:6], *extremes, *moments[8:])


def _histograms(histogram: torch.Tensor, ordinal: int) -> pa.Table:
    width, counts = histogram.shape[1], histogram.flatten()
    filled = find_true(counts > 0)
    units = filled // width
    bins = filled - units * width - HISTOGRAM_BINS
    return _table("shard_histograms", units, ordinal, bins, counts.index_select(0, filled))


def _top(top: dict[str, Top], ordinal: int) -> pa.Table:
    return pa.concat_tables(
        _table(
            "shard_top",
            unit,
            ordinal,
            polarity,
            ranks_within(unit) + 1,
            example_id,
            activation,
            _places(peak),
        )
        for polarity, (unit, example_id, activation, peak) in top.items()
    )


def _samples(samples: Samples, ordinal: int) -> pa.Table:
    places = samples.unit * BIN_COUNT + samples.bin + OCTAVES
    counts = samples.counts.flatten().index_select(0, places)
    activations = samples.activation.float()
    of_example = (samples.example_id, activations, _places(samples.peak))
    return _table("shard_samples", samples.unit, ordinal, samples.bin, counts, *of_example)


def _places(peak: torch.Tensor) -> pa.Array:
    """Peaks as a column: null where they are not known."""
    return pa.array(peak.numpy(), mask=(peak < 0).numpy())


def _table(name: str, units: torch.Tensor, ordinal: int, *columns: Any) -> pa.Table:
    """Rows of ``unit``, ``shard_ordinal`` and other columns: tensors, arrays, or one value for all rows."""
    schema = TABLES[name].arrow_schema()
    arrays = [
        pa.array(column.numpy(), kind)
        if isinstance(column, torch.Tensor)
        else pa.repeat(pa.scalar(column, kind), len(units))
        if isinstance(column, int | str)
        else column
        for column, kind in zip((units, ordinal, *columns), schema.types, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
