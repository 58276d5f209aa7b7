from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import open_clip
import pytest
import torch
from making import ingest_paths, write_tar
from PIL import Image
from running import (
    LAYER,
    MODEL,
    activation_matrix,
    ingest_shards,
    make_config,
    make_picture,
    make_pictures,
    read_run,
    run_bytes,
    run_extract,
    run_folder,
    run_manifests,
)

from pipeline.base.errors import (
    ActivationError,
    ConfigError,
    ConfigMismatchError,
    HookError,
    ShardError,
    WarehouseError,
)
from pipeline.base.progress import NoProgress
from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep, digest
from pipeline.base.storage import Store
from pipeline.clip.model import load_clip
from pipeline.evidence.classify import refuse_another_model
from pipeline.extract.estimate import estimate
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest
from pipeline.tables.schema import TABLES
from pipeline.warehouse.connect import connect

IDS = [*range(23), *(n + (1 << 20) for n in range(40)), *(n + (2 << 20) for n in (0, 1, 2, 3, 5))]
IDS += [3 << 20]
DUPLICATES = {(1 << 20) + n for n in (0, 1, 2, 3, 4, 39)}


# --- what a run writes ---------------------------------------------------------------------------


def test_a_run_holds_what_the_model_says(dataset: Path) -> None:
    """Against the model without our stream, batches, hooks' pooling and writer."""
    summary = run_extract(dataset, preprocess="exact", store="all", activation_dtype="float32")
    clip = load_clip(MODEL)
    pictures = [*range(23), *range(5), *range(100, 134), 103, *range(200, 204), 300, 400]
    images = [clip.preprocess(Image.open(BytesIO(make_picture(n)))) for n in pictures]
    seen = []
    module = clip.model.visual.layer2[0].act3
    handle = module.register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
    with torch.inference_mode():
        embeddings = clip.model.encode_image(torch.stack(images), normalize=True)
    handle.remove()
    expected = seen[0].amax((2, 3)).numpy()

    assert (summary.read_count, summary.written_count, summary.rejected_count) == (70, 69, 1)
    found = activation_matrix(dataset)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    table = read_run(dataset, "embeddings")
    assert table["example_id"].to_pylist() == IDS
    vectors = np.array(table["embedding"].to_pylist())
    np.testing.assert_allclose(vectors, embeddings.numpy(), atol=1e-3)
    np.testing.assert_allclose((vectors**2).sum(1), 1, atol=1e-2)


def test_manifests_rejects_and_duplicates(dataset: Path) -> None:
    run_extract(dataset)
    manifests = run_manifests(dataset)
    assert [m["written_count"] for m in manifests] == [23, 40, 5, 1]
    assert [m["canonical_count"] for m in manifests] == [23, 34, 5, 1]
    assert [m["reject_reasons"] for m in manifests] == [{}, {}, {"image_truncated": 1}, {}]
    assert all(m["run_id"] == "r" and m["error"] is None for m in manifests)
    assert {"read", "decode", "write"} <= manifests[0]["seconds"].keys()
    (reject,) = read_run(dataset, "run_rejects").to_pylist()
    detail = reject.pop("detail")
    assert "truncated" in detail.lower() or "JPEG" in detail
    assert reject == {
        "shard_ordinal": 2,
        "position": 4,
        "shard_key": "broken",
        "stage": "decode",
        "reason": "image_truncated",
    }
    for table in (
        "run_rejects",
        "embeddings",
        "shard_stats",
        "shard_histograms",
        "shard_top",
        "shard_samples",
    ):
        schema = TABLES[table].arrow_schema()
        assert read_run(dataset, table).schema.equals(schema)
    tops = read_run(dataset, "shard_top").to_pylist()
    assert len(tops) > 1000
    assert not DUPLICATES & {row["example_id"] for row in tops}
    stats = read_run(dataset, "shard_stats").to_pylist()
    by_shard = Counter(
        (r["shard_ordinal"], r["example_count"], r["duplicate_count"]) for r in stats
    )
    assert set(by_shard) == {(0, 23, 0), (1, 40, 6), (2, 5, 0), (3, 1, 0)}
    activations = read_run(dataset, "activations")
    assert len(activations) == sum(row["positive_count"] for row in stats)
    assert set(activations["example_id"].to_pylist()) <= set(IDS)
    assert set(activations["example_id"].to_pylist()) >= DUPLICATES  # stored, never ranked


def test_several_layers_in_one_pass_of_both_towers(dataset: Path) -> None:
    layers = ("goh2021", "visual.layer1:center", "transformer.resblocks.1.mlp.gelu:cls")
    run_extract(dataset, layers=layers, max_reject_frac=0.5, store="all", run="all")
    names = [
        "visual.layer4.0.act3:input:max",
        "visual.layer1:output:center",
        "transformer.resblocks.1.mlp.gelu:output:cls",
    ]
    record = Store(dataset / "warehouse").read_json("dataset=d/run_id=all/run.json")
    assert record["identity"]["layers"] == names
    assert [layer["tower"] for layer in record["layers"]] == ["visual", "visual", "text"]
    for name, layer in zip(names, layers, strict=True):
        run_extract(dataset, layers=(layer,), max_reject_frac=0.5, store="all", run="one")
        together = activation_matrix(dataset, "all", name)
        alone = activation_matrix(dataset, "one", name)
        # only a text tower leaves out the example without text
        assert len(together) == 68 and len(alone) == (68 if "transformer" in name else 69)
        keep = slice(None) if len(alone) == 68 else [n for n in range(69) if n != 67]
        np.testing.assert_allclose(together, alone[keep], rtol=2e-3, atol=1e-4)
        shutil.rmtree(run_folder(dataset, "one"))


def test_text_layers_and_an_example_without_text(dataset: Path) -> None:
    layer = "ln_final:output:cls"
    run_extract(dataset, layers=(layer,), max_reject_frac=0.5, activation_dtype="float32")
    (third,) = [m for m in run_manifests(dataset) if m["ordinal"] == 2]
    assert third["reject_reasons"] == {"no_text": 1, "image_truncated": 1}
    rows = read_run(dataset, "run_rejects").to_pylist()
    mute = next(row for row in rows if row["reason"] == "no_text")
    assert (mute["stage"], mute["shard_key"], mute["position"]) == ("text", "mute", 5)
    matrix = activation_matrix(dataset)
    numbers = [*range(23), *range(5), *range(100, 134), 103, *range(200, 204), 400]
    clip = load_clip(MODEL)
    tokens = clip.tokenizer([f"picture number {n}" for n in numbers])
    seen: list[torch.Tensor] = []
    handle = clip.model.ln_final.register_forward_hook(lambda _, __, out: seen.append(out.clone()))
    with torch.inference_mode():
        clip.model.encode_text(tokens)
    handle.remove()
    expected = seen[0][torch.arange(len(tokens)), tokens.argmax(1)]
    np.testing.assert_allclose(matrix, expected.numpy(), rtol=1e-3, atol=1e-4)


def test_goh2021_of_a_model_with_several_blocks(
    dataset: Path, checkpoints: dict[str, Path]
) -> None:
    model = f"RN-small:{checkpoints['RN-small']}"
    run_extract(dataset, model=model, layers=("goh2021",), run="auto")
    run_extract(dataset, model=model, layers=("goh2021",), run="all", store="all")
    record = Store(dataset / "warehouse").read_json("dataset=d/run_id=auto/run.json")
    (layer,) = record["layers"]
    assert layer["layer"] == "visual.layer4.2.act3:input:max"
    assert (layer["path"], layer["point"], layer["pooling"]) == (
        "visual.layer4.2.act3",
        "input",
        "max",
    )
    assert (layer["store"], layer["unit_count"], layer["module_kind"]) == ("positive", 256, "ReLU")
    assert record["model"] == {
        "model_id": f"RN-small:{checkpoints['RN-small'].name}",
        "weights_sha256": load_clip(model).weights_sha256,
        "is_random": False,
        "setup_said_by": "the architecture RN-small",
    }
    matrix = activation_matrix(dataset, "all")
    assert 0.02 < (matrix < 0).mean() < 0.98  # inhibition, which a ReLU would have hidden
    stored = read_run(dataset, "activations", "auto")
    assert len(stored) == (matrix > 0).sum()
    for table in ("shard_stats", "shard_histograms"):  # over everything, stored or not
        assert read_run(dataset, table, "auto") == read_run(dataset, table, "all")
    bottom = [r for r in read_run(dataset, "shard_top", "auto").to_pylist() if r["activation"] < 0]
    assert bottom and {row["polarity"] for row in bottom} == {"negative"}


def test_exact_preprocessing_is_near_the_fast_one(dataset: Path) -> None:
    run_extract(dataset, store="all", run="fast")
    run_extract(dataset, store="all", run="exact", preprocess="exact")
    fast, exact = activation_matrix(dataset, "fast"), activation_matrix(dataset, "exact")
    assert not np.array_equal(fast, exact)
    difference = np.abs(fast - exact).mean(0) / exact.std(0).mean()
    assert difference.mean() < 0.02  # of a neuron's standard deviation


# --- the result does not depend on how it came about ---------------------------------------------


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
    layers = tuple(f"visual.layer{n}.0.act3:input:max" for n in range(1, 5))
    settings: dict[str, Any] = {"layers": layers, "store": "all", "activation_dtype": "float32"}
    run_extract(dataset, **settings, run="one")
    # 1,920 units of 4 bytes: 1 MiB holds 136 examples, so make them come in one shard
    tar = write_tar(dataset / "more/big.tar", make_pictures(170, first=1000))
    ingest_paths(dataset, "webdataset", tar)
    run_extract(dataset, [4], **settings, run="whole")
    run_extract(dataset, [4], **settings, run="parts", memory_budget_mb=1)
    paths = [e["path"] for m in run_manifests(dataset, "parts") for e in m["files"]]
    assert len(paths) == len({*paths})
    assert sum("-1.parquet" in path for path in paths) == 5  # four layers and the embeddings
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


# --- bad shards fail alone -----------------------------------------------------------------------


def test_too_many_rejects_fail_one_shard_alone(tmp_path: Path) -> None:
    cut = [s | {"jpg": s["jpg"][:-200]} for s in make_pictures(4, first=10)]
    ingest_shards(
        tmp_path, [make_pictures(5), [*cut, *make_pictures(6, first=50)], make_pictures(3, 70)]
    )
    with pytest.raises(ShardError) as caught:
        run_extract(tmp_path, batch_size=2)
    text = str(caught.value)
    assert text.startswith("1 of 3 shards failed; the others are done.")
    assert "Shard '00001': 4 of 10 examples were rejected (image_truncated 4)" in text
    assert "more than the share 0.25 that is allowed" in text
    first, second, third = run_manifests(tmp_path)
    assert first["status"] == third["status"] == "done"
    assert (second["status"], second["read_count"], second["written_count"]) == ("failed", 10, 0)
    assert second["error"] in text
    assert second["reject_reasons"] == {"image_truncated": 4}
    assert [entry["table"] for entry in second["files"]] == ["run_rejects"]
    rejects = read_run(tmp_path, "run_rejects").to_pylist()
    assert [row["reason"] for row in rejects] == ["image_truncated"] * 4 + ["shard_failed"]
    assert rejects[-1]["detail"] == second["error"]
    assert rejects[-1]["shard_key"] is None
    assert {i >> 20 for i in read_run(tmp_path, "embeddings")["example_id"].to_pylist()} == {0, 2}

    summary = run_extract(tmp_path, batch_size=2, max_reject_frac=0.4)
    assert (summary.skipped_shard_count, summary.written_count) == (2, 6)
    assert run_manifests(tmp_path)[1]["status"] == "done"
    run_bytes(tmp_path)


def test_a_tar_changed_behind_our_back_fails_its_shard(tmp_path: Path) -> None:
    ingest_shards(tmp_path, [make_pictures(n + 3, first=10 * n) for n in range(4)])
    changed, gone = tmp_path / "in/00001.tar", tmp_path / "in/00002.tar"
    original = changed.read_bytes()
    data = bytearray(original)
    data[data.rindex(b"\xff\xd8\xff") + 100] ^= 0xFF
    changed.write_bytes(bytes(data))
    gone.rename(tmp_path / "elsewhere")
    with pytest.raises(ShardError, match=r"2 of 4 shards failed") as caught:
        run_extract(tmp_path)
    text = str(caught.value)
    assert "00001.tar has changed since it was indexed: the bytes of '000013' are not" in text
    assert "00002.tar cannot be read" in text
    assert [m["status"] for m in run_manifests(tmp_path)] == ["done", "failed", "failed", "done"]
    changed.write_bytes(original)
    (tmp_path / "elsewhere").rename(gone)
    assert run_extract(tmp_path).skipped_shard_count == 2
    assert [m["status"] for m in run_manifests(tmp_path)] == ["done"] * 4
    run_bytes(tmp_path)


def test_a_shard_whose_ingest_failed_fails_alone(tmp_path: Path) -> None:
    bad = [{"__key__": str(n), "jpg": b"no image"} for n in range(3)]
    with pytest.raises(ShardError):
        ingest_shards(tmp_path, [bad, make_pictures(3)])
    with pytest.raises(
        ShardError, match=r"1 of 2 shards failed.*\n.*'00000' of 'd' is not indexed"
    ):
        run_extract(tmp_path)
    assert [m["status"] for m in run_manifests(tmp_path)] == ["failed", "done"]


def test_shards_without_a_single_example(tmp_path: Path) -> None:
    bad = [{"__key__": str(n), "jpg": b"no image"} for n in range(3)]
    ingest_shards(tmp_path, [bad, make_pictures(3)], max_reject_frac=1.0)
    summary = run_extract(tmp_path)
    assert (summary.read_count, summary.written_count) == (3, 3)
    run_bytes(tmp_path)
    assert estimate(make_config(tmp_path, run="new")).example_count == 3


def test_weights_that_overflow(dataset: Path, tmp_path: Path) -> None:
    state = load_clip(MODEL).model.state_dict()
    state["visual.layer1.0.conv1.weight"].fill_(3e38)  # finite, and no sum of them is
    torch.save(state, tmp_path / "huge.pt")
    with pytest.raises(ShardError, match="4 of 4 shards failed") as caught:
        run_extract(dataset, model=f"RN-demo:{tmp_path / 'huge.pt'}")
    assert "Shard '00000': 23 of 23 examples were rejected (not_finite 23)" in str(caught.value)
    assert "not_finite 5, image_truncated 1" in str(caught.value)
    rows = read_run(dataset, "run_rejects").to_pylist()
    assert Counter((row["stage"], row["reason"]) for row in rows) == {
        ("forward", "not_finite"): 69,
        ("decode", "image_truncated"): 1,
        ("shard", "shard_failed"): 4,
    }
    assert {m["status"] for m in run_manifests(dataset)} == {"failed"}
    assert all(m["read_count"] == m["rejected_count"] for m in run_manifests(dataset))
    with pytest.raises(ActivationError, match="NaN or infinity"):
        estimate(make_config(dataset, model=f"RN-demo:{tmp_path / 'huge.pt'}", run="new"))


def test_beyond_float16_stops_the_run_and_float32_does_it(dataset: Path, tmp_path: Path) -> None:
    state = load_clip(MODEL).model.state_dict()
    state["visual.layer2.0.bn3.bias"][0] = 1e5
    torch.save(state, tmp_path / "huge.pt")
    model = f"RN-demo:{tmp_path / 'huge.pt'}"
    with pytest.raises(ActivationError, match=f"{LAYER}' has activations beyond float16") as caught:
        run_extract(dataset, model=model)
    assert "--activation-dtype float32" in caught.value.hint
    assert run_manifests(dataset) == []
    run_extract(dataset, model=model, activation_dtype="float32", run="wide")
    assert read_run(dataset, "activations", "wide")["activation"].to_numpy().max() > 9e4
    assert [m["status"] for m in run_manifests(dataset, "wide")] == ["done"] * 4


# --- configurations ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"layers": ("visual.layer1",)}, "layers: there ['visual.layer2.0.act3:input:max'], now"),
        ({"preprocess": "exact"}, "preprocess: there 'fast', now 'exact'"),
        ({"top_k": 6}, "top_k: there 5, now 6"),
        ({"store": "all"}, "store: there ['positive'], now ['all']"),
        ({"activation_dtype": "float32"}, "activation_dtype: there 'float16', now 'float32'"),
        ({"max_pixels": 10_000_000}, "max_pixels: there 100000000, now 10000000"),
        ({"model": "RN-small:random"}, "weights_sha256: there"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_two_configurations_never_mix(dataset: Path, change: dict[str, Any], field: str) -> None:
    run_extract(dataset, [3])
    before = {p: p.stat().st_mtime_ns for p in run_folder(dataset).rglob("*.*")}
    with pytest.raises(ConfigMismatchError) as caught:
        run_extract(dataset, **change)
    text = str(caught.value)
    assert "Run 'r' of 'd' was made with another configuration" in text
    assert field in text and "another --run name" in text
    assert {p: p.stat().st_mtime_ns for p in run_folder(dataset).rglob("*.*")} == before
    new = run_extract(dataset, [3], run="", **change)  # without a name they find their own place
    old = run_extract(dataset, [3], run="")
    assert new.run_id != old.run_id


def test_a_model_that_is_set_up_in_another_way_never_mixes(dataset: Path, tmp_path: Path) -> None:
    """The same weights, once plain and once as the configuration says that is put beside them."""
    torch.save(load_clip("ViT-small:random").model.state_dict(), tmp_path / "w.pt")
    model = f"ViT-small:{tmp_path / 'w.pt'}"
    change = {"model": model, "layers": ("vit-mlp",)}
    run_extract(dataset, [3], **change)
    config = open_clip.get_model_config("ViT-small") | {"quick_gelu": True}
    images = {"mean": [0.5] * 3, "resize_mode": "squash"}
    sidecar = {"model_cfg": config, "preprocess_cfg": images}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(sidecar))
    with pytest.raises(ConfigMismatchError) as caught:
        run_extract(dataset, **change)
    for words in (
        "image_activation: there 'GELU', now 'QuickGELU'",
        "text_activation: there 'GELU', now 'QuickGELU'",
        "image_mean: there [0.48145466, 0.4578275, 0.40821073], now [0.5, 0.5, 0.5]",
        "resize_mode: there 'shortest', now 'squash'",
    ):
        assert words in str(caught.value)
    run_extract(dataset, [3], **change, run="new")
    with connect(str(dataset / "warehouse")) as connection:
        rows = connection.execute(
            "select run_id, image_activation, text_activation, image_height_px, image_width_px, "
            "image_mean[1], image_std[1], interpolation, resize_mode from runs order by run_id"
        ).fetchall()
    assert rows == [
        ("new", "QuickGELU", "QuickGELU", 48, 48, 0.5, 0.26862954, "bicubic", "squash"),
        ("r", "GELU", "GELU", 48, 48, 0.48145466, 0.26862954, "bicubic", "shortest"),
    ]
    store = Store(dataset / "warehouse")
    identity = store.read_json("dataset=d/run_id=r/run.json")["identity"]
    with pytest.raises(ConfigMismatchError, match="text_activation: the run's 'GELU'"):
        refuse_another_model(load_clip(model), identity)


def test_runs_of_the_first_format_go_on_where_they_ran_what_is_run_now(
    dataset: Path, tmp_path: Path
) -> None:
    """Their records do not say how the model was set up: it was open_clip's way without a word."""
    store = Store(dataset / "warehouse")

    def forget(run: str) -> str:
        path = f"dataset=d/run_id={run}/run.json"
        record = store.read_json(path)
        fields = load_clip(MODEL).setup_fields()
        record["identity"] = {k: v for k, v in record["identity"].items() if k not in fields}
        store.write_json(path, record)
        return digest(record["identity"])

    run_extract(dataset, [3])
    forget("r")
    assert run_extract(dataset).skipped_shard_count == 1
    old = forget(run_extract(dataset, [3], run="").run_id)
    shutil.rmtree(run_folder(dataset, run_extract(dataset, [3], run="").run_id))
    run_extract(dataset, [3], run=old)
    forget(old)
    assert run_extract(dataset, [3], run="").run_id == old
    with connect(str(dataset / "warehouse")) as connection:
        found = connection.execute("select image_activation, image_height_px from runs").fetchall()
    assert found == [(None, None)] * 2

    torch.save(load_clip("ViT-small:random").model.state_dict(), tmp_path / "w.pt")
    change = {"model": f"ViT-small:{tmp_path / 'w.pt'}", "layers": ("vit-mlp",), "run": "vit"}
    config = open_clip.get_model_config("ViT-small") | {"quick_gelu": True}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    run_extract(dataset, [3], **change)
    forget("vit")
    with pytest.raises(ConfigMismatchError, match="image_activation: there None, now 'QuickGELU'"):
        run_extract(dataset, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"workers": -1}, "workers is -1"),
        ({"top_k": 0}, "top_k is 0"),
        ({"memory_budget_mb": 0}, "memory_budget_mb is 0"),
        ({"max_pixels": 0}, "max_pixels is 0"),
        ({"max_reject_frac": 1.01}, "max_reject_frac is 1.01"),
        ({"max_reject_frac": float("nan")}, "max_reject_frac is nan"),
        ({"preprocess": "slow"}, "preprocess is 'slow'"),
        ({"store": "none"}, "store is 'none'"),
        ({"activation_dtype": "int8"}, "activation_dtype is 'int8'"),
        ({"precision": "int8"}, "precision is 'int8'"),
        ({"precision": "bfloat16"}, "Precision 'bfloat16' on a CPU"),
        ({"run": "../escape"}, "'../escape' cannot name a run"),
        ({"dataset": "no/folder"}, "'no/folder' cannot name a dataset"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_values_out_of_range(dataset: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        run_extract(dataset, **change)
    assert message in str(caught.value) and caught.value.hint
    assert not run_folder(dataset).exists() or change.get("precision") == "bfloat16"


def test_unknown_dataset_and_layer(dataset: Path) -> None:
    with pytest.raises(WarehouseError, match="no dataset 'e'") as caught:
        run_extract(dataset, dataset="e")
    assert "Datasets there: d" in str(caught.value)
    with pytest.raises(HookError, match=r"layer 'visual\.layer9' is not in RN-demo:random"):
        run_extract(dataset, layers=("visual.layer9",))
    assert not run_folder(dataset).exists()


# --- estimate ------------------------------------------------------------------------------------


def test_estimate_is_plausible_and_writes_nothing(dataset: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (dataset / "warehouse").rglob("*")}
    found = estimate(make_config(dataset, run=""))
    assert {p: p.stat().st_mtime_ns for p in (dataset / "warehouse").rglob("*")} == before
    assert (found.shard_count, found.example_count, found.sampled_count) == (4, 70, 23)
    assert 1 < found.images_per_s < 1e5
    text = str(found)
    assert f"run {found.run_id}: 4 shards, 70 images to do" in text
    assert "estimate: " in text and "GB are free" in text and "MORE" not in text

    summary = run_extract(dataset, run="")
    assert summary.run_id == found.run_id
    assert 0.3 < found.total_bytes / summary.bytes_written < 3
    with pytest.raises(WarehouseError, match="nothing left to do"):
        estimate(make_config(dataset, run=""))


def test_estimate_is_of_the_run_that_would_go_on(dataset: Path) -> None:
    """A run of format 1, which does not say how its model was set up, goes on under its old id; and one of
    another configuration is refused here as there."""
    new = estimate(make_config(dataset, run="")).run_id
    store = Store(dataset / "warehouse")
    extract(make_config(dataset, run=""))
    record = store.read_json(f"dataset=d/run_id={new}/run.json")
    setup = load_clip(record["config"]["model"], "cpu").setup_fields()
    identity = {k: v for k, v in record["identity"].items() if k not in setup}
    assert len(identity) == len(record["identity"]) - len(setup)
    old = digest(identity)
    record |= {"run_id": old, "identity": identity}
    store.write_json(f"dataset=d/run_id={old}/run.json", record)
    assert estimate(make_config(dataset, run="")).run_id == old
    assert extract(make_config(dataset, run="")).run_id == old
    with pytest.raises(WarehouseError, match=f"Run {old} of 'd' has nothing left to do"):
        estimate(make_config(dataset, run=""))
    with pytest.raises(ConfigMismatchError, match="top_k"):
        estimate(make_config(dataset, run=old, top_k=7))


def test_estimate_counts_what_is_left(dataset: Path) -> None:
    run_extract(dataset, [0, 1])
    layers = (LAYER, "ln_final:cls")
    assert estimate(make_config(dataset)).example_count == 7
    assert estimate(make_config(dataset, layers=layers, run="new")).example_count == 70


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
