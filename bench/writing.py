"""Writing the activations of a wide layer on one core: images per second, bytes per activation."""

from __future__ import annotations

import tempfile
from collections.abc import Callable

import pyarrow as pa
import torch

from bench.data import synthesise_activations, synthetic_output
from bench.timing import Report, Row, cpu, measure_in_turn, wall
from pipeline.base.storage import Store
from pipeline.extract.activation_file import write_activations
from pipeline.extract.partial_tables import partial_tables
from pipeline.extract.results import Results
from pipeline.extract.sketch import Partials, sketch
from pipeline.extract.write import ShardWriter
from pipeline.tables.datasets import Shard

UNIT_COUNT = 2560
BATCH_SIZE = 64


def report(quick: bool) -> Report:
    """Two shares of values above zero, with and without the partials; and partials alone, by width."""
    count, rounds = (256, 1) if quick else (5000, 5)
    yield f"writing: {UNIT_COUNT} units, {count} images in one shard, one core"
    threads, arrow_threads = torch.get_num_threads(), pa.cpu_count()
    torch.set_num_threads(1)
    pa.set_cpu_count(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for positive_frac in (0.25, 0.5):
                yield from _report_share(Store(folder), count, positive_frac, rounds)
        shard_sizes = (128,) if quick else (1000, 5000)
        for unit_count, target in (
            (256 if quick else UNIT_COUNT, 5000),
            (2048 if quick else 36_864, 350),
        ):
            for size in shard_sizes if unit_count <= UNIT_COUNT else shard_sizes[:1]:
                yield from _report_partials(unit_count, size, target, rounds)
    finally:
        torch.set_num_threads(threads)
        pa.set_cpu_count(arrow_threads)


def _report_partials(unit_count: int, count: int, target: int, rounds: int) -> Report:
    """Partials of a shard: computing them, and all of it with their tables."""
    yield f"partials: {unit_count} units, {count} images in one shard, one core"
    values = synthesise_activations(count, unit_count, 0.25).T.contiguous()
    ids, is_duplicate = torch.arange(count), torch.zeros(count, dtype=torch.bool)
    kept: list[Partials] = []

    def compute() -> None:
        kept[:] = [sketch(values, ids, is_duplicate, 100, only_signed=True)]

    with tempfile.TemporaryDirectory() as folder:

        def write() -> None:
            for table in partial_tables(kept[0], 0):
                Store(folder).write_parquet(f"{table.name}.parquet", table.rows, **table.options)

        compute()
        costs = measure_in_turn({"computed": compute, "written": write}, rounds)
    both = cpu(costs["computed"]) + cpu(costs["written"])
    for name, seconds in (*((name, cpu(costs[name])) for name in costs), ("both", both)):
        note = f"{seconds * 1e9 / values.numel():.0f} ns of CPU time an activation"
        goal = f">= {target:,}" if name == "both" else ""
        yield Row(name, count / seconds, "images/s", note, goal)


def _report_share(store: Store, count: int, positive_frac: float, rounds: int) -> Report:
    values = synthesise_activations(count, UNIT_COUNT, positive_frac)
    output = synthetic_output(UNIT_COUNT)
    ids = torch.arange(count)
    is_finite = torch.ones(count, dtype=torch.bool)
    batches = [
        Results(
            ids[i], {output.layer.name: values[i]}, torch.zeros(len(ids[i]), 8).half(), is_finite[i]
        )
        for i in (slice(start, start + BATCH_SIZE) for start in range(0, count, BATCH_SIZE))
    ]
    sizes: list[int] = []

    def write() -> None:
        columns = torch.cat([batch.pooled[output.layer.name].T for batch in batches], dim=1)
        _, written = write_activations(store, "activations.parquet", columns, ids, "positive")
        sizes.append(written.bytes)

    def write_shard() -> None:
        none = torch.zeros(0, dtype=torch.int64)
        shard = Shard(0, "bench", "bench.tar", 0)
        writer = ShardWriter(store, "run", shard, (output,), none, 100, 1 << 30)
        for batch in batches:
            writer.add(batch)
        writer.finish()

    write()
    stages: dict[str, Callable[[], None]] = {
        "activations": write,
        "with partials and embeddings": write_shard,
    }
    costs = measure_in_turn(stages, rounds)
    share = (values > 0).float().mean().item()
    for name, target in zip(stages, (">= 30,000", ""), strict=True):
        note = f"CPU time: {count / cpu(costs[name]):,.0f}"
        rate = count / wall(costs[name])
        yield Row(f"{share:.0%} above zero, {name}", rate, "images/s", note, target)
    per_activation = sizes[-1] / values.numel()
    note = f"raw float16 takes 2.0; {sizes[-1] / (values > 0).sum().item():.2f} for each stored one"
    # 0.55 is for the share of a trained network's layer; the other share is there to compare
    target = "<= 0.55" if positive_frac == 0.25 else ""
    yield Row(f"{share:.0%} above zero, size", per_activation, "bytes", note, target)
