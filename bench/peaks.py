"""What it costs to know where an activation is the largest: CPU time of an extraction, and disk."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from unittest.mock import PropertyMock, patch

import torch

from bench.data import (
    SMALL_SIZES,
    Shards,
    synthesise_activations,
    synthesise_peaks,
    synthetic_output,
    write_run,
)
from bench.extraction import Case, Halves
from bench.timing import Report, Row, cpu, measure_in_turn
from pipeline.base.storage import Store
from pipeline.clip import hooks
from pipeline.clip.hooks import Layer
from pipeline.extract.results import LayerOutput, Results
from pipeline.extract.write import ShardWriter
from pipeline.tables.datasets import Shard
from pipeline.tables.merged import MERGE_WIDTH
from pipeline.upkeep import vacuum
from pipeline.upkeep.merge import merge_run

CASES = (
    Case("decoding and a small model", "RN-demo:random", Shards(2, 400, SMALL_SIZES), 64, ""),
    Case("a ResNet", "RN50:random", Shards(2, 40, SMALL_SIZES), 16, ""),
    Case("all MLPs of a ViT", "ViT-B-32:random", Shards(2, 48, SMALL_SIZES), 16, "", "vit-mlp-all"),
)
UNIT_COUNT = 2560


@dataclass(frozen=True)
class Kind:
    """A layer as it is stored."""

    title: str
    store: str
    is_rectified: bool


KINDS = (
    Kind("after a ReLU", "positive", True),
    Kind("before it, what is above zero", "positive", False),
    Kind("before it, all", "all", False),
)


@contextmanager
def _without_peaks() -> Iterator[None]:
    """Maxima alone, as a pipeline would take them that does not ask where they are."""
    pool_others = hooks.pool

    def pool(tensor: torch.Tensor, layer: Layer, ends: torch.Tensor | None = None) -> torch.Tensor:
        if layer.spec.pooling != "max" or layer.layout == "flat":
            return pool_others(tensor, layer, ends)
        places = (2, 3) if layer.layout == "channels_first" else (1, 2)
        if layer.layout in ("channels_first", "channels_last"):
            return tensor.amax(places)
        return hooks.positions_of(tensor, layer, ends).amax(1)

    none = PropertyMock(return_value=False)
    with patch.object(Layer, "has_peaks", none), patch.object(hooks, "pool", pool):
        yield


def _report_time(case: Case, rounds: int) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        halves = Halves(case, folder)

        def without() -> None:
            with _without_peaks():
                halves.everything()

        stages: dict[str, Callable[[], None]] = {"with": halves.everything, "without": without}
        measure_in_turn(stages, 1)  # warm up
        costs = measure_in_turn(stages, rounds)
    yield f"peaks, {case.title}: {case.model}, {case.layer}, {case.shards.count} images"
    pairs = zip(costs["with"], costs["without"], strict=True)
    more = sorted(one.cpu_s / other.cpu_s - 1 for one, other in pairs)
    spread = f"of {rounds} pairs {more[0]:.1%} to {more[-1]:.1%}"
    share = 100 * (cpu(costs["with"]) / cpu(costs["without"]) - 1)
    yield Row("more CPU time", share, "%", spread, "<= 3")


def _write(folder: Path, kind: Kind, values: torch.Tensor, has_peaks: bool) -> dict[str, int]:
    """Bytes by table of one shard."""
    layer = replace(synthetic_output(UNIT_COUNT).layer, is_rectified=kind.is_rectified)
    output = LayerOutput(layer, kind.store, torch.float16)
    ids, none = torch.arange(len(values)), torch.zeros(0, dtype=torch.int64)
    shard = Shard(0, "bench", "bench.tar", 0)
    writer = ShardWriter(Store(folder), "run", shard, (output,), none, 100, 1 << 32)
    vectors = torch.randn(len(values), 640, generator=torch.Generator().manual_seed(0)).half()
    peaks = {layer.name: synthesise_peaks(ids, UNIT_COUNT)} if has_peaks else {}
    is_finite = torch.ones(len(values), dtype=torch.bool)
    writer.add(Results(ids, {layer.name: values}, vectors, is_finite, peaks))
    sizes: dict[str, int] = {}
    for file in writer.finish():
        size = (folder / file["path"]).stat().st_size
        sizes[file["table"]] = sizes.get(file["table"], 0) + size
    return sizes


def _report_disk(kind: Kind, image_count: int) -> Report:
    values = _synthesise(kind, image_count, UNIT_COUNT)
    with tempfile.TemporaryDirectory() as folder:
        there, absent = (
            _write(Path(folder) / name, kind, values, name == "with")
            for name in ("with", "without")
        )
    more = {table: there[table] - absent[table] for table in there}
    note = ", ".join(f"{table} {size / 1e3:,.0f} kB" for table, size in more.items() if size)
    share = 100 * sum(more.values()) / sum(absent.values())
    yield Row(f"{kind.title}, shards of {image_count:,}", share, "%", note, "<= 5")


def _synthesise(kind: Kind, image_count: int, unit_count: int) -> torch.Tensor:
    values = synthesise_activations(image_count, unit_count, 0.25)
    return values.clamp_(min=0) if kind.is_rectified else values


def _report_merged(kind: Kind, shard_count: int, shard_size: int, unit_count: int) -> Report:
    """A run of as many shards as one merge takes, when what it was made from has gone."""
    values = _synthesise(kind, shard_count * shard_size, unit_count)
    layer = replace(synthetic_output(unit_count).layer, is_rectified=kind.is_rectified)
    output = LayerOutput(layer, kind.store, torch.float16)
    sizes = {}
    for has_peaks in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            write_run(
                folder, values, shard_size, output, merge_width=shard_count, has_peaks=has_peaks
            )
            (run,) = Path(folder).glob("dataset=*/run_id=*")
            merge_run(Store(folder), run.relative_to(folder).as_posix())
            with patch.object(vacuum, "KEEP", timedelta(0)):
                vacuum.vacuum(Store(folder))
            sizes[has_peaks] = sum(file.stat().st_size for file in run.rglob("*.parquet"))
    share = 100 * (sizes[True] / sizes[False] - 1)
    note = f"{sizes[False] / 1e6:,.1f} MB without"
    yield Row(
        f"{kind.title}, {shard_count} shards of {shard_size:,}, merged", share, "%", note, "<= 5"
    )


def report(quick: bool) -> Report:
    """CPU time of whole extractions in pairs; bytes of a shard whose maxima lie anywhere as often."""
    for case in CASES[:1] if quick else CASES:
        one = replace(case, shards=Shards(2, 24, SMALL_SIZES)) if quick else case
        yield from _report_time(one, 1 if quick else 7)
    yield f"peaks, disk: {UNIT_COUNT} units in a grid of 9 x 9 whose cells are all as likely"
    for kind in KINDS:
        for image_count in (256,) if quick else (1000, 10_000):
            yield from _report_disk(kind, image_count)
    for kind in KINDS[:1] if quick else KINDS:
        yield from _report_merged(kind, *((2, 16, 4) if quick else (MERGE_WIDTH, 1000, 256)))
