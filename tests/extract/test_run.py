"""What a run writes: activations, embeddings, rejects, statistics and manifests, against the model itself."""

from __future__ import annotations

import shutil
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from running import (
    MODEL,
    activation_matrix,
    make_picture,
    read_run,
    run_extract,
    run_folder,
    run_manifests,
)

from pipeline.base.settings import MAX_PIXELS
from pipeline.base.storage import Store
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.model import Clip, load_clip
from pipeline.extract.decode import decode_exact, decode_fast, normalise
from pipeline.tables.schema import TABLES

IDS = [*range(23), *(n + (1 << 20) for n in range(40)), *(n + (2 << 20) for n in (0, 1, 2, 3, 5))]
IDS += [3 << 20]
DUPLICATES = {(1 << 20) + n for n in (0, 1, 2, 3, 4, 39)}


Matrix = np.ndarray[Any, Any]
PICTURES = [*range(23), *range(5), *range(100, 134), 103, *range(200, 204), 300, 400]


def ask_model(clip: Clip, images: torch.Tensor) -> tuple[Matrix, Matrix]:
    """What the model itself says of a batch: pooled activations and embeddings."""
    seen = []
    module = clip.model.visual.layer2[0].act3
    handle = module.register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
    with torch.inference_mode():
        embeddings = clip.model.encode_image(images, normalize=True)
    handle.remove()
    return seen[0].amax((2, 3)).numpy(), embeddings.numpy()


def test_a_run_holds_what_the_model_says(dataset: Path) -> None:
    """Against the model without our stream, batches, hooks' pooling and writer."""
    summary = run_extract(dataset, preprocess="exact", store="all", activation_dtype="float32")
    clip = load_clip(MODEL)
    images = [clip.preprocess(Image.open(BytesIO(make_picture(n)))) for n in PICTURES]
    expected, embeddings = ask_model(clip, torch.stack(images))

    assert (summary.read_count, summary.written_count, summary.rejected_count) == (70, 69, 1)
    found = activation_matrix(dataset)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    table = read_run(dataset, "embeddings")
    assert table["example_id"].to_pylist() == IDS
    vectors = np.array(table["embedding"].to_pylist())
    np.testing.assert_allclose(vectors, embeddings, atol=1e-3)
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


@pytest.mark.slow
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


def test_fast_and_exact_preprocessing_each_see_their_own_pixels(dataset: Path) -> None:
    """Nearest to what the model says of these; how near the pixels themselves are is test_decode's."""
    clip, found, said = load_clip(MODEL), {}, {}
    spec = ImageSpec.from_model(clip.model)
    for way, decode in (("fast", decode_fast), ("exact", decode_exact)):
        run_extract(dataset, store="all", run=way, preprocess=way, activation_dtype="float32")
        found[way] = activation_matrix(dataset, way)
        pixels = torch.stack([decode(make_picture(n), spec, MAX_PIXELS) for n in PICTURES])
        images = normalise(pixels, spec) if way == "fast" else pixels
        said[way], _ = ask_model(clip, images)
    for way, other in (("fast", "exact"), ("exact", "fast")):
        near, far = (np.abs(found[way] - said[each]).sum() for each in (way, other))
        assert near < far
