"""On a GPU: the same partials and files as on the CPU, and a main thread that never waits."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from moments import merged, moments_of
from running import make_picture, read_run, run_bytes, run_extract, run_manifests

from pipeline.base.errors import ActivationError
from pipeline.base.settings import ExtractConfig
from pipeline.base.storage import Store
from pipeline.clip.hooks import Layer, LayerSpec
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import load_clip
from pipeline.extract.decode import decode_fast, stack
from pipeline.extract.device import beside, bound_memory, to_host
from pipeline.extract.encode import Encoder
from pipeline.extract.partial_tables import partial_tables
from pipeline.extract.plan import Example, ShardPlan, read_duplicates
from pipeline.extract.results import LayerOutput, Results
from pipeline.extract.sketch import Partials, merge, sketch
from pipeline.extract.stream import Batch
from pipeline.extract.write import ShardWriter
from pipeline.tables.datasets import Shard, dataset_folder, read_dataset

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a GPU: run where torch finds CUDA"
)

GPU = torch.device("cuda")
SHARD = Shard(7, "shard", "/nowhere.tar", 0)
FIRST = SHARD.example_id(0)
LAYERS = tuple(f"visual.layer{n}.0.act3:input:max" for n in range(1, 5))
SPECIAL = (0.0, -0.0, 6e-8, -6e-8, 3e-5, 1.0, -1.0, 1.25, 0.5, 65504.0, -65504.0, 1.5, -2.0, 0.1)
BEYOND = (1e-30, -1e-30, 1e-42, 65520.0, 65536.0, -65536.0, 7e4, 3e38, -3e38, 1.2499999)


def draw(kind: str, units: int, count: int, dtype: torch.dtype) -> torch.Tensor:
    rng = np.random.default_rng(0)
    special = SPECIAL + (BEYOND if dtype == torch.float32 else ())
    values = {
        "normal": lambda: rng.normal(size=(units, count)),
        "special": lambda: rng.choice(special, (units, count)),
        "tied": lambda: rng.integers(-2, 3, (units, count)),
        "zero": lambda: rng.choice([0.0, -0.0], (units, count)),
        "any": lambda: (
            rng.normal(size=(units, count)) * 10.0 ** rng.integers(-8, 4, (units, count))
        ),
    }[kind]()
    return torch.from_numpy(values).to(dtype)


def assert_same(got: Partials, expected: Partials, parts: Sequence[torch.Tensor]) -> None:
    """Whole numbers, order and activations to the bit; sums as rounding of these parts ``[U, N]`` allows."""
    sums = [4, 5, 8, 9, 10, 11, 12]
    for row in set(range(len(expected.moments))) - set(sums):
        assert torch.equal(got.moments[row], expected.moments[row])
    for unit, rows in enumerate(zip(*(part.numpy() for part in parts), strict=True)):
        exact = moments_of(rows[0]) if len(rows) == 1 else merged([moments_of(r) for r in rows])
        assert got.moments[sums, unit].tolist() == exact.sums()
    for a, b in zip(partial_tables(got, 7), partial_tables(expected, 7), strict=True):
        if a.name != "shard_stats":
            assert a.rows.equals(b.rows), a.name


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("kind", ["normal", "special", "tied", "zero", "any"])
@pytest.mark.parametrize(("units", "count"), [(70, 1213), (3, 1), (5, 0), (2, 70_000)])
def test_partials_are_those_of_the_cpu(
    units: int, count: int, kind: str, dtype: torch.dtype
) -> None:
    values = draw(kind, units, count, dtype)
    ids = torch.from_numpy(np.sort(np.random.default_rng(1).choice(1 << 40, count, replace=False)))
    twice = torch.arange(count) % 7 == 3
    for only_signed, is_whole in ((True, True), (False, False)):
        on_cpu = sketch(values, ids, twice, 100, only_signed, is_whole)
        there = (values.to(GPU), ids.to(GPU), twice.to(GPU))
        on_gpu = sketch(*there, 100, only_signed, is_whole)
        assert {on_gpu.moments.device.type, on_gpu.samples.bin.device.type} == {"cuda"}
        assert_same(on_gpu.to_host(), on_cpu, [values])


def test_more_than_one_block_on_the_gpu() -> None:
    values = draw("tied", 2600, 2000, torch.float16)
    ids, twice = torch.arange(2000) + FIRST, torch.zeros(2000, dtype=torch.bool)
    on_gpu = sketch(values.to(GPU), ids.to(GPU), twice.to(GPU), 100, True)
    assert_same(on_gpu.to_host(), sketch(values, ids, twice, 100, True), [values])


def test_parts_on_the_gpu_merge_to_the_whole() -> None:
    values = draw("tied", 70, 1213, torch.float16)
    ids, twice = torch.arange(1213) + FIRST, torch.arange(1213) % 11 == 0
    parts = [
        sketch(values[:, p].to(GPU), ids[p].to(GPU), twice[p].to(GPU), 5, False, False).to_host()
        for p in torch.arange(1213).split(400)
    ]
    assert_same(merge(parts, 5), sketch(values, ids, twice, 5, False), values.split(400, dim=1))


def make_output(n: int, store: str, units: int = 300) -> LayerOutput:
    spec = LayerSpec(f"visual.some.act{n}", "input", "max")
    return LayerOutput(Layer(spec, "visual", "ReLU", "flat", units, False), store, torch.float16)


def write_shard(folder: Path, device: str, budget: int, threads: int = 0) -> list[dict[str, Any]]:
    """300 examples of three layers from a device, one of them not finite."""
    outputs = tuple(
        make_output(n, store) for n, store in enumerate(("positive", "all", "positive"))
    )
    values = [draw("any", 300, 300, torch.float16).roll(n, 1).T.contiguous() for n in range(3)]
    twice = torch.tensor([3, 77, 150]) + FIRST
    pool = ThreadPoolExecutor(threads) if threads else None
    writer = ShardWriter(Store(folder), "run", SHARD, outputs, twice, 5, budget, pool)
    for some in torch.arange(300).split(16):
        pooled = {o.layer.name: v[some].to(device) for o, v in zip(outputs, values, strict=True)}
        with beside(torch.device(device)):
            results = Results(some + FIRST, pooled, torch.zeros(len(some), 3).half(), some != 200)
            writer.add(results.only_finite())
    with beside(torch.device(device)):
        files = writer.finish()
    if pool:
        pool.shutdown()
    return files


@pytest.mark.parametrize("budget", [1 << 30, 3 * 300 * 2 * 70])
def test_files_are_those_of_the_cpu_byte_for_byte(tmp_path: Path, budget: int) -> None:
    expected = write_shard(tmp_path / "cpu", "cpu", budget)
    for name, threads in (("gpu", 0), ("threads", 3)):
        files = write_shard(tmp_path / name, "cuda", budget, threads)
        assert [f["path"] for f in files] == [f["path"] for f in expected]
        for file in files:
            if file["table"] != "shard_stats":
                got, wanted = (tmp_path / where / file["path"] for where in (name, "cpu"))
                assert got.read_bytes() == wanted.read_bytes(), file["path"]


def test_beyond_float16_names_the_example(tmp_path: Path) -> None:
    output = make_output(0, "all", 2)
    values = torch.tensor([[1.0, 2.0], [3.0, 70_000.0]], device=GPU).half()
    none = torch.zeros(0, dtype=torch.int64)
    writer = ShardWriter(Store(tmp_path), "run", SHARD, (output,), none, 5, 1 << 30)
    ids, finite = torch.arange(2) + FIRST, torch.ones(2, dtype=torch.bool)
    with pytest.raises(ActivationError, match=str(FIRST + 1)):
        writer.add(Results(ids, {output.layer.name: values}, torch.zeros(2, 3).half(), finite))


def make_batch(count: int, spec: ImageSpec) -> Batch:
    plan = ShardPlan(SHARD, "", [])
    examples = [Example(FIRST + n, n, f"{n}", 0, 1, "") for n in range(count)]
    images = [decode_fast(make_picture(n), spec=spec, max_pixels=1 << 20) for n in range(count)]
    return Batch(plan, examples, stack(images), is_last=True)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("model", ["RN-small:random", "ViT-small:random"])
def test_a_batch_is_encoded_without_waiting_and_as_on_the_cpu(model: str) -> None:
    layer = "visual.layer4.2.act3" if model.startswith("RN") else "visual.transformer.resblocks.1"
    found = {}
    for device in ("cpu", "cuda"):
        clip = load_clip(model, device)
        outputs = tuple(
            LayerOutput(layer, "all", torch.float32) for layer in resolve_layers(clip, (layer,))
        )
        spec = ImageSpec.from_model(clip.model)
        batch = make_batch(9, spec)
        encoder = Encoder(clip, outputs, spec, ExtractConfig("w", "d", model, (layer,)))
        with encoder.hooked():
            encoder.encode(batch).wait()  # what is set up once may wait
            if device == "cuda":
                torch.cuda.set_sync_debug_mode("error")
            try:
                pending = encoder.encode(batch)
            finally:
                torch.cuda.set_sync_debug_mode("default")
            results = pending.wait()
        (values,) = results.pooled.values()
        assert values.device.type == device
        assert {t.device.type for t in (results.embeddings, results.is_finite)} == {"cpu"}
        assert not results.embeddings.is_pinned()
        found[device] = (values.cpu(), results.embeddings.float(), results.is_finite)
    for got, expected in zip(found["cuda"], found["cpu"], strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)


def test_a_run_keeps_the_partials_of_what_it_stores(dataset: Path) -> None:
    settings: dict[str, Any] = {"layers": LAYERS, "store": "all"}
    run_extract(dataset, **settings, run="gpu", device="cuda")
    run_extract(dataset, **settings, run="cpu", device="cpu")
    for manifest in run_manifests(dataset, "gpu"):
        assert manifest["status"] == "done"
        for layer in LAYERS:
            _compare_with_stored(dataset, manifest, layer)
    for layer in LAYERS:
        ours, theirs = (
            np.asarray(read_run(dataset, "activations", run, layer)["activation"], np.float64)
            for run in ("gpu", "cpu")
        )
        np.testing.assert_allclose(ours, theirs, rtol=5e-3, atol=5e-3)
    assert read_run(dataset, "run_rejects", "gpu").equals(read_run(dataset, "run_rejects", "cpu"))


def _compare_with_stored(folder: Path, manifest: dict[str, Any], layer: str) -> None:
    """The tables of partials are those that the CPU makes of the stored activations."""

    def read(table: str) -> pa.Table:
        files = [f for f in manifest["files"] if (f["table"], f["layer"]) == (table, layer)]
        tables = [pq.ParquetFile(folder / "warehouse" / f["path"]).read() for f in files]
        return pa.concat_tables(tables)

    store = Store(folder / "warehouse")
    shard = read_dataset(store, "d").shards[manifest["ordinal"]]
    stored = read("activations").sort_by([("unit", "ascending"), ("example_id", "ascending")])
    ids = np.unique(stored["example_id"])
    values = torch.tensor(np.array(stored["activation"]).reshape(-1, len(ids)))
    example_ids = torch.tensor(ids)
    twice = torch.isin(example_ids, read_duplicates(store, dataset_folder("d"), shard))
    arrays = (values, example_ids, twice)
    for table in partial_tables(sketch(*arrays, 5, False), manifest["ordinal"]):
        if table.name != "shard_stats":
            got, rows = read(table.name), table.rows
            if "peak" in rows.column_names:  # which stored activations do not tell
                got, rows = got.drop(["peak"]), rows.drop(["peak"])
            assert got.equals(rows), table.name


def test_a_second_attempt_writes_the_same_bytes(dataset: Path) -> None:
    run_extract(dataset, run="a", device="cuda", layers=LAYERS)
    run_extract(dataset, run="b", device="cuda", layers=LAYERS)
    first, second = (
        {p.split("run_id=")[1][1:]: data for p, data in run_bytes(dataset, run).items()}
        for run in "ab"
    )
    assert first == second


def test_copies_come_through_pinned_memory_and_budgets_fit_the_device() -> None:
    with beside(GPU):
        assert torch.cuda.current_stream(GPU) != torch.cuda.default_stream(GPU)
        (copy,) = to_host([torch.arange(5, device=GPU)])
    assert copy.is_pinned() and copy.tolist() == [0, 1, 2, 3, 4]
    assert torch.cuda.current_stream(GPU) == torch.cuda.default_stream(GPU)
    assert bound_memory(1, GPU) == 1
    assert 0 < bound_memory(1 << 60, GPU) < torch.cuda.get_device_properties(GPU).total_memory / 8
