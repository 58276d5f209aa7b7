"""A run on paper: its bytes and files are those of a run that is written, its hours follow from the rate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from cut_world import make_cut_config, make_cut_world

from pipeline.base.budget_settings import BudgetQuestion
from pipeline.base.errors import ConfigError
from pipeline.base.storage import Store
from pipeline.clip.hooks import Layer, LayerSpec
from pipeline.extract.budget import PLACES, reckon
from pipeline.extract.kept import choose_kept
from pipeline.extract.results import LayerOutput, Results
from pipeline.extract.run import extract
from pipeline.extract.write import ShardWriter
from pipeline.tables.datasets import Shard
from pipeline.tables.merged import MERGE_WIDTH


@pytest.mark.parametrize(("store", "dense"), [("auto", False), ("none", True), ("top:0.05", True)])
def test_bytes_are_those_of_shards_that_are_written(
    tmp_path: Path, store: str, dense: bool
) -> None:
    """Two layers in shards of 1,500 images, from 512 of one: every table within a fifth."""
    question = BudgetQuestion(
        images=3000, rate=1, units=48, layers=2, embedding=24, store=store, dense=dense,
        shard_size=1500, top_k=20,
    )  # fmt: skip
    expected = reckon(question).bytes_of(store)
    generator = torch.Generator().manual_seed(5)
    kept = choose_kept(store, not dense)
    outputs = tuple(
        LayerOutput(
            Layer(LayerSpec(name, "output", "max"), "visual", "", "flat", 48, not dense),
            kept,
            torch.float16,
        )
        for name in ("one", "two")
    )
    written: Counter[str] = Counter()
    for ordinal in range(2):
        shard = Shard(ordinal, "s", "", 0)
        none = torch.zeros(0, dtype=torch.int64)
        writer = ShardWriter(Store(tmp_path), "run", shard, outputs, none, 20, 1 << 30, None, 1500)
        pooled = {o.layer.name: torch.randn(1500, 48, generator=generator).half() for o in outputs}
        vectors = torch.nn.functional.normalize(torch.randn(1500, 24, generator=generator), dim=1)
        ids = torch.arange(1500) + shard.example_id(0)
        shape, finite = (1500, 48), torch.ones(1500, dtype=torch.bool)
        places = torch.randint(0, PLACES, shape, generator=generator, dtype=torch.uint8)
        peaks = {o.layer.name: places for o in outputs}
        writer.add(Results(ids, pooled, vectors.half(), finite, peaks))
        for file in writer.finish():
            written[file["table"]] += file["bytes"]
    assert set(expected) == set(written)
    for table, size in expected.items():
        assert 0.8 < size / written[table] < 1.25, (table, size, written[table])


@pytest.mark.parametrize("store", ["auto", "none"])
def test_files_are_as_many_as_an_extraction_writes(tmp_path: Path, store: str) -> None:
    place = make_cut_world(tmp_path, {}, per_shard=4)
    extract(make_cut_config(place, run="r", store=store))
    files = [*place.glob("dataset=d/run_id=r/**/*.parquet")]
    files += place.glob("dataset=d/run_id=r/manifests/*.json")
    question = BudgetQuestion(images=8, rate=1, units=8, layers=2, store=store, shard_size=4)
    assert reckon(question).count_files() == len(files)


def test_hours_devices_and_merges_follow() -> None:
    question = BudgetQuestion(
        images=1_000_000, rate=100, units=8, embedding=8, days=0.5, write_rate=50
    )
    found = reckon(question)
    assert found.device_hours == pytest.approx(10_000 / 3600)
    told = str(found).splitlines()
    assert told[0] == "1,000,000 images in 1,000 shards of 1,000; 8 units"
    assert (
        told[-2] == "at 100 images/s: 2.8 device hours; in 0.5 days 1 device with 1,000 shards each"
    )
    assert told[-1] == "cores that write for one device, at 50: 2.0"
    (files,) = (line for line in told if line.startswith("as extracted with --store auto: "))
    assert files.endswith(" in 8,000 files")
    (merged,) = (line for line in told if line.startswith("partials of 64 shards merged: about "))
    assert merged.endswith(" in 4,064 files")
    assert sum(found.bytes_of("auto", True).values()) < sum(found.bytes_of("auto").values())
    narrow = reckon(BudgetQuestion(images=1_000_000, rate=100, units=8, embedding=8, merge_width=8))
    assert "partials of 8 shards merged: about " in str(narrow)
    assert narrow.count_files(True) == 4_000 + 4 * 125
    assert sum(narrow.bytes_of("auto", True).values()) > sum(found.bytes_of("auto", True).values())
    several = str(reckon(BudgetQuestion(images=8_640_001, rate=100, units=8))).splitlines()[-1]
    assert "24.0 device hours; in 1 day 2 devices with 4,321 shards each" in several


def test_what_cannot_be_is_refused() -> None:
    assert BudgetQuestion(images=1, rate=1.0).merge_width == MERGE_WIDTH
    for wrong in (
        {"merge_width": 1},
        {"images": 0},
        {"rate": 0.0},
        {"store": "top:2"},
        {"active": 1.5},
    ):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            BudgetQuestion(**({"images": 1, "rate": 1.0} | wrong))
