"""How the model in a file is set up: by its tag, archive, hash or configuration; or nobody guesses."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
from tagging import HALF, resolve, sidecar

from pipeline.base.errors import ModelError
from pipeline.clip.model_id import parse_model_id
from pipeline.clip.setup import resolve_config, resolve_tag


def test_a_file_given_as_a_tag(file: Path) -> None:
    for tag in ("openai", "laion2b_s34b_b79k"):
        name = f"ViT-B-32:{tag}@{file}"
        assert resolve(name) == resolve_tag("ViT-B-32", tag)
        assert parse_model_id(name).model_id == f"ViT-B-32:{tag}@w.pt"
    with pytest.raises(ModelError, match="no pretrained weights 'nosuch@") as caught:
        parse_model_id(f"ViT-B-32:nosuch@{file}")
    assert "openai" in caught.value.hint
    with pytest.raises(
        ModelError, match=r"There is no file '/nowhere/w\.pt' with weights for RN50"
    ):
        parse_model_id("RN50:openai@/nowhere/w.pt")
    with pytest.raises(ModelError, match="names no file after the @") as caught:
        parse_model_id("ViT-B-32:openai@")
    assert "Write ViT-B-32:openai, or" in caught.value.hint
    with pytest.raises(ModelError, match="There is no file"):
        parse_model_id("RN50:openai@" + "x" * 5000)  # no path at all


def test_a_path_may_hold_what_looks_like_a_tag(tmp_path: Path) -> None:
    odd = tmp_path / "openai@home"
    odd.mkdir()
    (odd / "w.pt").write_bytes(b"x")
    assert parse_model_id(f"RN50:{odd / 'w.pt'}").file == str(odd / "w.pt")
    assert parse_model_id(f"RN50:openai@{odd / 'w.pt'}").tag == "openai"


def test_a_file_of_an_architecture_whose_tags_agree(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    siglip = resolve(f"ViT-B-16-SigLIP:{file}")
    assert siglip.setup.image == resolve_tag("ViT-B-16-SigLIP", "webli").setup.image
    assert "agree" in siglip.setup.said_by and not caplog.records
    resnet = resolve(f"RN50:{file}")
    assert resnet.setup.quick_gelu
    assert f"RN50:openai@{file}" in caplog.text  # its own configuration says GELU: that is told


def test_nobody_guesses_where_tags_differ(file: Path) -> None:
    with pytest.raises(ModelError, match="Nothing says what the weights") as caught:
        resolve(f"ViT-L-14:{file}")
    text = str(caught.value)
    assert "QuickGELU, 224 x 224 pixels, mean 0.4815" in text and "mean 0.5 0.5 0.5" in text
    for tag in ("openai", "laion400m_e31", "laion2b_s32b_b82k"):  # one of each kind
        assert f"ViT-L-14:{tag}@{file}" in caught.value.hint
    assert "open_clip_config.json" in caught.value.hint


def test_an_architecture_without_tags_has_only_itself(file: Path) -> None:
    blueprint = resolve(f"RN-demo:{file}")
    assert not blueprint.setup.quick_gelu
    assert blueprint.setup.image.size_px == (64, 64)
    assert blueprint.setup.said_by == "the architecture RN-demo"


def test_the_code_in_an_archive_decides(file: Path) -> None:
    assert resolve(f"ViT-B-32:{file}", True).setup.quick_gelu
    assert not resolve(f"ViT-B-32:{file}", False).setup.quick_gelu
    assert resolve(f"RN-demo:{file}", True).config["quick_gelu"]
    with pytest.raises(ModelError, match="runs QuickGELU; open_clip's table of weights"):
        resolve(f"ViT-B-32:laion2b_s34b_b79k@{file}", True)
    with pytest.raises(ModelError, match="runs GELU, which no weights of RN50"):
        resolve(f"RN50:{file}", False)
    with pytest.raises(ModelError, match="Nothing says"):  # two ways of resizing are left
        resolve(f"ViT-H-14:{file}", True)


def test_a_published_file_is_known_by_its_hash(file: Path, add_tags: Callable[..., None]) -> None:
    sum_ = hashlib.sha256(file.read_bytes()).hexdigest()
    releases = "https://github.com/mlfoundations/open_clip/releases/download/v0"
    for url in (
        f"https://openaipublic.azureedge.net/clip/models/{sum_}/w.pt",
        f"{releases}/w-quickgelu-{sum_[:8]}.pt",
    ):
        add_tags("ViT-small", first={"url": url, "quick_gelu": True}, second={"hf_hub": "a/b/"})
        blueprint = resolve(f"ViT-small:{file}")
        assert blueprint.setup.quick_gelu
        assert "ViT-small:first" in blueprint.setup.said_by
    file.write_bytes(b"other weights")
    with pytest.raises(ModelError, match="Nothing says"):
        resolve(f"ViT-small:{file}")


def test_a_file_in_the_cache_of_the_hub_is_that_repositorys(tmp_path: Path) -> None:
    for tag in ("openai", "laion2b_s34b_b79k"):
        repository = open_clip.get_pretrained_cfg("ViT-B-32", tag)["hf_hub"].strip("/")
        folder = tmp_path / f"models--{repository.replace('/', '--')}" / "snapshots" / "0"
        folder.mkdir(parents=True)
        (folder / "w.safetensors").write_bytes(b"x")
        found = resolve(f"ViT-B-32:{folder / 'w.safetensors'}")
        assert found == resolve_tag("ViT-B-32", tag)


def test_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "w.pt").write_bytes(b"x")
    assert parse_model_id("RN50:~/w.pt").file == str(tmp_path / "w.pt")
    assert parse_model_id("RN50:openai@~/w.pt").file == str(tmp_path / "w.pt")
    assert parse_model_id("local-dir:~/m").arch == f"local-dir:{tmp_path}/m"


def test_a_configuration_beside_the_file(file: Path) -> None:
    sidecar(file, "ViT-B-32", HALF, quick_gelu=True)
    setup = resolve(f"ViT-B-32:{file}").setup
    assert setup.quick_gelu
    assert (setup.image.mean, setup.image.resize_mode) == ((0.5,) * 3, "squash")
    assert setup.image.interpolation == "bilinear"
    assert "open_clip_config.json" in setup.said_by
    assert resolve(f"ViT-B-32:laion2b_e16@{file}") == resolve_tag("ViT-B-32", "laion2b_e16")


def test_a_configuration_of_another_architecture_beside_the_file(file: Path) -> None:
    sidecar(file, "ViT-B-16", {})
    with pytest.raises(ModelError, match=r"another architecture than ViT-B-32.*patch_size") as got:
        resolve(f"ViT-B-32:{file}")
    assert f"local-dir:{file.parent}" in got.value.hint
    (file.parent / "open_clip_config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        resolve(f"ViT-B-32:{file}")


@pytest.mark.parametrize("content", [[], {}, {"model_cfg": {"embed_dim": 1}}, {"model_cfg": "x"}])
def test_json_that_is_no_configuration(content: Any) -> None:
    with pytest.raises(ModelError, match=r"X is no configuration .* vision_cfg"):
        resolve_config(content, "X")


@pytest.mark.parametrize(
    ("model", "image", "message"),
    [
        ({"quick_gelu": "false"}, {}, "quick_gelu is 'false', not true or false"),
        ({}, {"interpolation": "lanczos"}, "interpolation 'lanczos' with resize mode 'shortest'"),
        ({}, {"resize_mode": "crop"}, "interpolation 'bicubic' with resize mode 'crop'"),
        ({}, {"std": [0, 0, 0]}, r"with std \(0\.0, 0\.0, 0\.0\)"),
        ({}, {"mean": [float("nan"), 0, 0]}, r"mean \(nan, 0\.0, 0\.0\)"),
        ({}, {"mode": "L"}, "another kind of image than RGB"),
    ],
)
def test_a_configuration_with_values_that_mean_nothing(
    model: dict[str, Any], image: dict[str, Any], message: str
) -> None:
    """Told before anything is built, not at the first image."""
    config = open_clip.get_model_config("RN50") | model
    with pytest.raises(ModelError, match=message):
        resolve_config({"model_cfg": config, "preprocess_cfg": image}, "X")


def test_a_configuration_of_another_open_clip() -> None:
    config = open_clip.get_model_config("RN50")
    config["vision_cfg"]["flash"] = True
    with pytest.raises(ModelError, match=r"does not know: .*flash"):
        resolve_config({"model_cfg": config}, "X")
