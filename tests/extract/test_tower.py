"""The image tower with weights in half precision, or compiled: the same network, and never in part."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from running import make_config, run_folder
from waiting import patience

from pipeline.base.settings import ExtractConfig
from pipeline.clip.hooks import capture_layers
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import Clip, load_clip
from pipeline.extract.encode import Encoder
from pipeline.extract.plan import Example, ShardPlan
from pipeline.extract.results import LayerOutput, Results
from pipeline.extract.stream import Batch
from pipeline.extract.tower import Tower
from pipeline.tables.datasets import Shard

MODELS = {
    "RN-demo:random": ("visual.layer2.0.act3:input",),
    "ViT-small:random": ("visual.transformer.resblocks.0.mlp.gelu", "visual.transformer:cls"),
}


def config_of(model: str, layers: tuple[str, ...], **settings: Any) -> ExtractConfig:
    return ExtractConfig("w", "d", model, layers, **settings)


def make_batches(clip: Clip, sizes: tuple[int, ...]) -> list[Batch]:
    torch.manual_seed(0)
    plan, spec = ShardPlan(Shard(0, "s", "s.tar", 0), "", []), ImageSpec.from_model(clip.model)
    return [
        Batch(
            plan,
            [Example(n, n, f"{n}", 0, 1, "", f"a text of {n}") for n in range(size)],
            torch.randint(0, 256, (size, 3, *spec.size_px), dtype=torch.uint8),
            is_last=False,
        )
        for size in sizes
    ]


def make_encoder(clip: Clip, config: ExtractConfig, backend: Any = None) -> Encoder:
    layers = resolve_layers(clip, config.layers)
    outputs = tuple(LayerOutput(layer, "all", torch.float32) for layer in layers)
    encoder = Encoder(clip, outputs, ImageSpec.from_model(clip.model), config)
    if backend is not None:
        encoder.tower = Tower(clip, config, backend)
    return encoder


def run(encoder: Encoder, batches: list[Batch]) -> list[Results]:
    with encoder.hooked():
        return [encoder.encode(batch).wait() for batch in batches]


@pytest.mark.parametrize("model", MODELS)
def test_weights_in_bfloat16_are_those_of_the_model_cast(model: str) -> None:
    clip = load_clip(model)
    layers = (*MODELS[model], "transformer.resblocks.0.mlp:cls")
    (batch,) = make_batches(clip, (3,))
    encoder = make_encoder(clip, config_of(model, layers, precision="bfloat16-weights"))
    (results,) = run(encoder, [batch])
    assert {p.dtype for p in clip.model.parameters()} == {torch.float32}, "others use it too"
    assert {p.dtype for p in encoder.clip.model.parameters()} == {torch.bfloat16}
    with (
        capture_layers(encoder.clip, resolve_layers(clip, layers)) as capture,
        torch.inference_mode(),
    ):
        pixels = encoder._normalise(batch.images).bfloat16()
        features = encoder.clip.model.encode_image(pixels).float()
        capture.ends = torch.zeros(3, dtype=torch.int64)
    for name in (name for name in results.pooled if name.startswith("visual.")):
        assert torch.equal(results.pooled[name], capture.pooled[name].float())
    expected = torch.nn.functional.normalize(features, dim=1)
    assert torch.equal(results.embeddings, expected.half())
    assert len(results.pooled) == len(layers)


@pytest.mark.slow
def test_short_batches_are_filled_up_so_that_there_is_one_graph() -> None:
    model, graphs = "RN-demo:random", []

    def count(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    clip, layers = load_clip(model), MODELS[model]
    batches = make_batches(clip, (4, 4, 1, 3))
    config = config_of(model, layers, batch_size=4, compile=True)
    got = run(make_encoder(clip, config, count), batches)
    assert len(graphs) == 1
    full = make_batches(clip, (4, 4, 1, 3))
    for batch in full[2:]:  # as they are filled: with what was in their places before
        batch.images = torch.cat([batch.images, full[1].images[len(batch.images) :]])
    plain = run(make_encoder(clip, replace(config, compile=False)), full)
    for one, other, batch in zip(got, plain, batches, strict=True):
        count_ = len(batch.examples)
        assert one.embeddings.shape[0] == one.is_finite.shape[0] == count_
        assert torch.equal(one.embeddings, other.embeddings[:count_])
        for name, values in one.pooled.items():
            assert torch.equal(values, other.pooled[name][:count_])


@pytest.mark.parametrize(
    ("model", "backend"),
    [
        ("ViT-small:random", "eager"),  # its attention has another way when it is not compiled
        pytest.param("RN-demo:random", "inductor", marks=pytest.mark.slow),
    ],
)
def test_what_is_compiled_is_the_same_network(model: str, backend: str) -> None:
    """In doubles, whose roundings no float32 shows: what differs in float32 is rounding alone."""
    clip = load_clip(model)
    wide = replace(clip, model=copy.deepcopy(clip.model).double())
    pixels = torch.rand(2, 3, *ImageSpec.from_model(clip.model).size_px, dtype=torch.float64)
    config = config_of(model, MODELS[model], batch_size=2)
    found = []
    for is_compiled in (False, True):
        tower = Tower(wide, replace(config, compile=is_compiled), backend)
        layers = resolve_layers(clip, config.layers)
        with capture_layers(wide, layers) as capture, torch.inference_mode():
            found.append((tower.encode(pixels), *capture.pooled.values()))
    for plain, compiled in zip(*found, strict=True):
        assert (plain - compiled).abs().max() <= plain.abs().max() * 2.0**-24


@pytest.mark.slow
def test_without_a_compiler_it_is_an_error(dataset: Path, tmp_path: Path) -> None:
    warehouse = str(dataset / "warehouse")
    command = [sys.executable, "-m", "pipeline.cli", "extract", "--warehouse", warehouse]
    command += ["--dataset", "d", "--model", "RN-demo:random", "--compile", "--run", "c"]
    command += ["--layer", MODELS["RN-demo:random"][0]]
    nowhere = {"CXX": "/nowhere/c++", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        command, env=os.environ | nowhere, capture_output=True, text=True, timeout=patience(300)
    )
    assert done.returncode == 2, done.stderr
    assert "DeviceError: The image tower of RN-demo:random cannot be compiled on cpu" in done.stderr
    assert "leave out --compile" in done.stderr
    assert not list(run_folder(dataset, "c").glob("manifests/*"))


def test_compiled_or_not_is_part_of_what_a_run_is(dataset: Path) -> None:
    from pipeline.base.storage import Store
    from pipeline.extract.open import identify_run

    clip, store = load_clip("RN-demo:random"), Store(dataset / "warehouse")
    runs = [
        identify_run(store, make_config(dataset, run="", compile=is_compiled), clip)
        for is_compiled in (False, True)
    ]
    assert [identity["precision"] for _, identity in runs] == ["float32", "float32, compiled"]
    assert runs[0][0].run_id != runs[1][0].run_id
