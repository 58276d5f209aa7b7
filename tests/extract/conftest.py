"""Datasets that are ingested once, and architectures that are small enough for tests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from making import make_record
from open_clip import pretrained
from running import ingest_shards, make_picture, make_pictures, run_bytes, run_extract
from saving import ARCH, State
from watching import SHARD_COUNT, SHARD_SIZE

from pipeline.clip.model import Clip, load_clip
from pipeline.clip.model_id import register_models

RESNET = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 3], "width": 8, "patch_size": None},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
VIT = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 48, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
LAST_TOKEN = VIT | {"custom_text": True, "text_cfg": VIT["text_cfg"] | {"pool_type": "last"}}
END_TOKEN = VIT | {
    "custom_text": True,
    "text_cfg": VIT["text_cfg"] | {"pool_type": "eos", "eos_id": 49407},
}


@pytest.fixture(scope="session", autouse=True)
def small_models(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Architectures ``RN-small`` (3 blocks in its last stage), ``ViT-small`` and two text towers."""
    folder = tmp_path_factory.mktemp("models")
    models = {
        "RN-small": RESNET,
        "ViT-small": VIT,
        "ViT-small-last": LAST_TOKEN,
        "ViT-small-eos": END_TOKEN,
    }
    for name, config in models.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    register_models()


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Weights of the small ResNets whose batch norms do something: open_clip zeroes the last ones."""
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = {}
    for arch in ("RN-demo", "RN-small"):
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(1)
            model = open_clip.CLIP(**open_clip.get_model_config(arch))
            for module in model.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.weight.normal_(1, 0.3)
                    module.bias.normal_(0, 0.3)
                    module.momentum = 1.0
            model.train().encode_image(torch.randn(16, 3, 64, 64))  # means and variances
        paths[arch] = folder / f"{arch}.pt"
        torch.save(model.state_dict(), paths[arch])
    return paths


@pytest.fixture(scope="session")
def state(small_models: None) -> State:
    """Weights of the small ViT."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = open_clip.CLIP(**open_clip.get_model_config(ARCH))
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.fixture(scope="session")
def sha256(state: State, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Their identity, as of a plain checkpoint."""
    file = tmp_path_factory.mktemp("plain") / "w.pt"
    torch.save(state, file)
    clip = load_clip(f"{ARCH}:{file}")
    assert not clip.is_random
    assert all(torch.equal(clip.model.state_dict()[name], state[name]) for name in state)
    return clip.weights_sha256


@pytest.fixture(scope="session")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with dataset ``d``: 23, 40, 6 and 1 samples.

    The second shard shows five images of the first and one of its own again; the third has a
    truncated JPEG and a sample without text.
    """
    folder = tmp_path_factory.mktemp("ingested")
    repeated = [sample | {"__key__": f"again{n}"} for n, sample in enumerate(make_pictures(5))]
    own = make_pictures(34, first=100)
    twin = [own[3] | {"__key__": "twin"}]
    broken = {"__key__": "broken", "jpg": make_picture(7)[:-200], "json": make_record("cut")}
    third = [*make_pictures(4, first=200), broken, {"__key__": "mute", "jpg": make_picture(300)}]
    last = make_pictures(1, first=400)
    ingest_shards(folder, [make_pictures(23), repeated + own + twin, third, last])
    return folder


@pytest.fixture
def dataset(ingested: Path, tmp_path: Path) -> Path:
    """``tmp_path`` with a warehouse of its own that holds dataset ``d`` of :func:`ingested`."""
    shutil.copytree(ingested / "warehouse", tmp_path / "warehouse")
    return tmp_path


@pytest.fixture
def resnet(checkpoints: dict[str, Path]) -> Clip:
    return load_clip(f"RN-small:{checkpoints['RN-small']}")


@pytest.fixture
def vit() -> Clip:
    return load_clip("ViT-small:random")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Nothing of a file but its bytes is looked at here."""
    path = tmp_path / "w.pt"
    path.write_bytes(b"some weights")
    return path


@pytest.fixture
def add_tags(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put tags of an architecture into open_clip's table, as a newer open_clip might."""

    def add(arch: str, **tags: dict[str, Any]) -> None:
        entries = {tag: pretrained._pcfg(**fields) for tag, fields in tags.items()}
        monkeypatch.setitem(pretrained._PRETRAINED, arch, entries)

    return add


@pytest.fixture(scope="session")
def many_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dataset ``d`` of many small shards."""
    folder = tmp_path_factory.mktemp("many")
    ingest_shards(
        folder, [make_pictures(SHARD_SIZE, first=SHARD_SIZE * n) for n in range(SHARD_COUNT)]
    )
    return folder


@pytest.fixture(scope="session")
def unbroken(many_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file of an uninterrupted run of one process over :func:`many_shards`."""
    folder = tmp_path_factory.mktemp("unbroken")
    shutil.copytree(many_shards / "warehouse", folder / "warehouse")
    run_extract(folder)
    return run_bytes(folder)


@pytest.fixture
def fresh(many_shards: Path, tmp_path: Path) -> Path:
    """``tmp_path`` with a warehouse of its own that holds :func:`many_shards`."""
    shutil.copytree(many_shards / "warehouse", tmp_path / "warehouse")
    return tmp_path
