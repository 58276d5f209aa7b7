"""Statistics of shards, from what they store of their activations."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from bench.data import synthesise_activations, synthesise_peaks, write_run
from pipeline.base.storage import Store
from pipeline.clip.hooks import Layer, LayerSpec
from pipeline.extract.restore import restore_partials
from pipeline.extract.results import LayerOutput, Results
from pipeline.extract.write import ShardWriter
from pipeline.tables.datasets import Shard
from pipeline.tables.manifest_files import read_manifest, shard_file, write_manifest
from pipeline.tables.merged import PARTIALS, read_merged
from pipeline.tables.schema import TABLES
from pipeline.upkeep import vacuum as vacuum_module
from pipeline.upkeep.merge import merge_run
from pipeline.upkeep.vacuum import vacuum

FOLDER, SIZE, UNITS = "dataset=synthetic/run_id=bench", 40, 3


def output(store: str, dtype: torch.dtype = torch.float16) -> LayerOutput:
    layer = Layer(LayerSpec("block"), "visual", "Block", "flat", UNITS, store != "all")
    return LayerOutput(layer, store, dtype)


def write_shard(
    store: Store, kept: LayerOutput, ordinal: int, values: torch.Tensor, has_peaks: bool
) -> None:
    """A shard anew: in three parts, its fifth image a duplicate."""
    shard = Shard(ordinal, f"shard{ordinal:05d}", f"shard{ordinal:05d}.tar", 0)
    ids = torch.arange(SIZE) + shard.example_id(0)
    schema = TABLES["duplicates"].arrow_schema()
    row = dict.fromkeys(schema.names) | {"example_id": int(ids[4])}
    index = shard_file("dataset=synthetic", "duplicates", ordinal)
    store.write_parquet(index, pa.Table.from_pylist([row], schema=schema))
    writer = ShardWriter(store, FOLDER, shard, (kept,), ids[4:5], 100, 1)
    for part in torch.arange(SIZE).split(15):
        vectors, good = torch.zeros(len(part), 8).half(), torch.ones(len(part), dtype=torch.bool)
        peaks = {kept.layer.name: synthesise_peaks(ids[part], UNITS)} if has_peaks else {}
        writer.add(Results(ids[part], {kept.layer.name: values[part]}, vectors, good, peaks))
    manifest = read_manifest(store, FOLDER, ordinal)
    assert manifest is not None
    write_manifest(store, FOLDER, {**manifest, "files": writer.finish()})


@pytest.mark.parametrize(
    ("kept", "is_told"),
    [
        (output("all"), True),
        (output("all", torch.float32), True),
        (output("positive"), True),
        (output("none"), False),
        (output("top:0.5"), False),
    ],
    ids=lambda value: f"{value.store}-{value.dtype}" if isinstance(value, LayerOutput) else "",
)
@pytest.mark.parametrize(("lowest", "has_peaks"), [(0.0, False), (-1e-3, False), (0.0, True)])
def test_they_are_the_same_bytes(
    kept: LayerOutput,
    is_told: bool,
    lowest: float,
    has_peaks: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or, where an activation below zero was not stored, less was kept or peaks were known, they stay lost."""
    store = Store(tmp_path)
    values = synthesise_activations(2 * SIZE, UNITS, 0.5).to(kept.dtype)
    if kept.store != "all":
        values = values.clamp(min=lowest)
        is_told &= lowest == 0
    is_told &= not has_peaks
    write_run(str(tmp_path), values, SIZE, kept, merge_width=2)
    for ordinal, block in enumerate(values.split(SIZE)):
        write_shard(store, kept, ordinal, block, has_peaks)
    files = [f for table in PARTIALS for f in (tmp_path / FOLDER / table).rglob("00001*")]
    before = {file: file.read_bytes() for file in files}
    assert len(before) == len(PARTIALS) and merge_run(store, FOLDER).shard_count == 2
    monkeypatch.setattr(vacuum_module, "KEEP", timedelta(seconds=-1))
    vacuum(store)
    assert not any(file.exists() for file in before)
    write_shard(store, kept, 0, values[:SIZE].flip(0), has_peaks)
    assert restore_partials(store, FOLDER) == [1] * is_told
    there = {file: file.read_bytes() for file in before if file.exists()}
    assert there == (before if is_told else {})
    record = read_merged(store, FOLDER)
    assert record is not None and [one["has_parts"] for one in record["merges"]] == [is_told]
    assert restore_partials(store, FOLDER) == []
