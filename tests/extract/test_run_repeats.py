"""What a run holds does not depend on how it came about: batches, workers, order, memory, place."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import torch
from making import ingest_paths, write_tar
from running import (
    LAYER,
    MODEL,
    activation_matrix,
    ingest_shards,
    make_config,
    make_pictures,
    read_run,
    run_bytes,
    run_extract,
    run_folder,
    run_manifests,
)

from pipeline.base.progress import NoProgress
from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest

pytestmark = pytest.mark.slow


def float16_steps(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """Largest difference in steps of float16, where a step is no finer than 2^-10 of the scale."""
    scale = np.abs(one).max() / 64
    step = np.spacing(np.maximum(np.maximum(np.abs(one), np.abs(other)), scale).astype(np.float16))
    return float((np.abs(one - other) / step).max())


def test_batch_size_changes_nothing_beyond_one_float16_step(dataset: Path) -> None:
    layers = (LAYER, "goh2021")
    for size in (1, 7, 64):
        run_extract(dataset, batch_size=size, layers=layers, store="all", run=f"b{size}")
    for layer in (LAYER, "visual.layer4.0.act3:input:max"):
        one, seven, many = (activation_matrix(dataset, f"b{n}", layer) for n in (1, 7, 64))
        assert one.shape == many.shape
        assert float16_steps(one, many) <= 1 and float16_steps(seven, many) <= 1
    vectors = [
        np.array(read_run(dataset, "embeddings", f"b{n}")["embedding"].to_pylist()) for n in (1, 64)
    ]
    assert float16_steps(*vectors) <= 1
    stats = [read_run(dataset, "shard_stats", f"b{n}", LAYER).to_pydict() for n in (1, 64)]
    for name in ("example_count", "duplicate_count"):
        assert stats[0][name] == stats[1][name]
    for name in ("zero_count", "positive_count"):
        assert np.abs(np.subtract(stats[0][name], stats[1][name])).max() <= 1
    for one_m, many_m in zip(*(run_manifests(dataset, f"b{n}") for n in (1, 64)), strict=True):
        assert one_m["reject_reasons"] == many_m["reject_reasons"]


@pytest.fixture
def expected(dataset: Path) -> dict[str, bytes]:
    """The files of a run that was made in one go; the run's folder is gone again."""
    run_extract(dataset)
    files = run_bytes(dataset)
    shutil.rmtree(run_folder(dataset))
    return files


@pytest.mark.parametrize("workers", [1, 5])
def test_number_of_workers_changes_no_bit(
    dataset: Path, expected: dict[str, bytes], workers: int
) -> None:
    run_extract(dataset, workers=workers)
    assert run_bytes(dataset) == expected


def test_order_of_shards_changes_no_bit(dataset: Path, expected: dict[str, bytes]) -> None:
    for ordinals, done in (([3], 1), ([2, 0], 3), ([], 3), ([1], 4)):
        summary = run_extract(dataset, ordinals)
        assert summary.shard_count == len(ordinals) and summary.skipped_shard_count == 0
        assert len(run_manifests(dataset)) == done
    assert run_bytes(dataset) == expected


class Interruption(NoProgress):
    """Raises in the writer's thread when so many examples are done."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, count: int, note: str = "") -> None:
        self.left -= count
        if self.left < 0:
            raise KeyboardInterrupt


def test_interruption_changes_no_bit(dataset: Path, expected: dict[str, bytes]) -> None:
    config = make_config(dataset)
    for after in (0, 30, 10, 6):
        with pytest.raises(KeyboardInterrupt):
            extract(config, Interruption(after))
        run_manifests(dataset)
    assert 1 <= len(run_manifests(dataset)) < 4
    summary = extract(config)
    assert summary.skipped_shard_count >= 1
    assert run_bytes(dataset) == expected
    assert not list(run_folder(dataset).rglob("*.tmp-*"))


def test_a_second_run_does_nothing(dataset: Path) -> None:
    first = run_extract(dataset)
    assert first.skipped_shard_count == 0 and len(first.manifests) == 4
    files = {path: path.stat().st_mtime_ns for path in (dataset / "warehouse").rglob("*.*")}
    again = run_extract(dataset, batch_size=3, workers=1, memory_budget_mb=7)
    assert (again.shard_count, again.skipped_shard_count, again.read_count) == (4, 4, 0)
    assert again.run_id == first.run_id == "r"
    assert {p: p.stat().st_mtime_ns for p in (dataset / "warehouse").rglob("*.*")} == files


def test_small_memory_budget_changes_no_value(dataset: Path) -> None:
    layers = tuple(
        f"visual.layer{n}.0{point}:{pool}"
        for n in range(1, 5)
        for point in (".act3:input", ":output")
        for pool in ("max", "mean")
    )
    settings: dict[str, Any] = {"layers": layers, "store": "all", "activation_dtype": "float32"}
    run_extract(dataset, **settings, run="one")
    # 1,920 units of 4 bytes: 1 MiB holds 136 examples, so make them come in one shard
    tar = write_tar(dataset / "more/big.tar", make_pictures(170, first=1000))
    ingest_paths(dataset, "webdataset", tar)
    run_extract(dataset, [4], **settings, run="whole")
    run_extract(dataset, [4], **settings, run="parts", memory_budget_mb=1)
    paths = [e["path"] for m in run_manifests(dataset, "parts") for e in m["files"]]
    assert len(paths) == len({*paths})
    assert sum("-1.parquet" in path for path in paths) == 17  # sixteen layers and the embeddings
    for layer in layers:
        whole, parts = (read_run(dataset, "activations", r, layer) for r in ("whole", "parts"))
        order = [("unit", "ascending"), ("example_id", "ascending")]
        assert parts.sort_by(order) == whole.sort_by(order)
        for table in ("shard_top", "shard_histograms", "shard_samples"):
            assert read_run(dataset, table, "parts", layer) == read_run(
                dataset, table, "whole", layer
            )


def test_a_warehouse_in_an_object_store(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "a.tar", make_pictures(20))
    fs = fsspec.filesystem("memory")
    place = f"memory://{tmp_path.name}"
    fs.put_file(str(tar), f"{place}/in/a.tar")
    ingest(IngestConfig(f"{place}/w", "d"), IngestStep("webdataset", (f"{place}/in/a.tar",)))
    config = ExtractConfig(f"{place}/w", "d", MODEL, (LAYER,), device="cpu", batch_size=16, top_k=5)
    summary = extract(config)
    assert extract(config).skipped_shard_count == 1
    ingest_shards(tmp_path, [make_pictures(20)])
    run_extract(tmp_path)
    folder = f"{place}/w/dataset=d/run_id={summary.run_id}"
    # There are no locks there, so each attempt's files have names of their own.
    found = {re.sub(r"-[0-9a-f]{8}\.parquet$", ".parquet", p): p for p in fs.find(folder)}
    inside = fs._strip_protocol(folder)
    for path, data in run_bytes(tmp_path).items():
        assert fs.cat_file(found[f"{inside}/{path.split('/', 2)[2]}"]) == data


def test_later_threads_get_all_cores_back(dataset: Path) -> None:
    """torch gives a new thread the number that was last set anywhere; decoding threads set one."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run_extract(dataset)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
