from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from PIL import Image

import pipeline
from pipeline.base.errors import DeviceError, ModelError
from pipeline.clip.device import choose_device
from pipeline.clip.model import Clip, hash_weights, load_clip


def embed(clip: Clip) -> torch.Tensor:
    with torch.inference_mode():
        noise = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        return clip.model.encode_image(noise)


def test_random_weights_are_the_same_every_time_and_leave_the_seed_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one = load_clip("RN-small:random")
    assert torch.rand(1) == expected
    before = embed(one)
    assert load_clip("RN-small:random") is one  # once per process
    load_clip("ViT-small:random")  # which takes its place
    two = load_clip("RN-small:random")
    assert two is not one
    assert two.weights_sha256 == one.weights_sha256 == hash_weights(two.model)
    assert len(two.weights_sha256) == 64
    assert torch.equal(embed(two), before)
    assert two.is_random and two.model_id == "RN-small:random"
    assert not two.model.training and two.device == torch.device("cpu")
    assert not any(parameter.requires_grad for parameter in two.model.parameters())


def test_checkpoint_file(tmp_path: Path) -> None:
    random = load_clip("RN-small:random")
    expected, state = embed(random), random.model.state_dict()
    file = tmp_path / "weights.pt"
    torch.save(state, file)
    clip = load_clip(f"RN-small:{file}")
    assert torch.equal(embed(clip), expected)
    assert clip.weights_sha256 == random.weights_sha256
    assert not clip.is_random

    state["logit_scale"] = state["logit_scale"] + 1  # the same path, other weights
    torch.save(state, file)
    again = load_clip(f"RN-small:{file}")
    assert again.weights_sha256 != clip.weights_sha256


def test_checkpoint_that_does_not_fit(tmp_path: Path) -> None:
    file = tmp_path / "vit.pt"
    torch.save(load_clip("ViT-small:random").model.state_dict(), file)
    with pytest.raises(ModelError) as caught:
        load_clip(f"RN-small:{file}")
    text = str(caught.value)
    assert f"Checkpoint {str(file)!r} does not fit RN-small: " in text
    assert "visual." in text  # which keys
    assert "neurons layers RN-small:random" in text


def test_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "picture.pt"
    file.write_bytes(b"GIF89a")
    with pytest.raises(ModelError, match=r"Checkpoint '.*picture.pt' is no file of weights"):
        load_clip(f"RN-small:{file}")


def test_unknown_names() -> None:
    with pytest.raises(ModelError) as caught:
        load_clip("RN50x5:openai")
    assert "no architecture 'RN50x5'" in str(caught.value)
    assert "'RN50x4'" in caught.value.hint
    with pytest.raises(ModelError, match="does not say which weights") as caught:
        load_clip("RN50")
    assert "openai" in caught.value.hint and "RN50:random" in caught.value.hint
    with pytest.raises(ModelError, match="'opena1', and there is no such file") as caught:
        load_clip("RN50:opena1")
    assert "openai, yfcc15m" in caught.value.hint
    with pytest.raises(ModelError, match=r"no pretrained weights '/nowhere/w\.pt'") as caught:
        load_clip("RN-small:/nowhere/w.pt")
    assert "Tags of RN-small: none" in caught.value.hint


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(DeviceError, match="'gpu' is not a device") as caught:
        choose_device("gpu")
    assert "cpu, cuda, cuda:1, cuda:all, mps or auto" in caught.value.hint
    with pytest.raises(DeviceError, match="'cuda:99' is not available"):
        choose_device("cuda:99")


@pytest.mark.skipif(torch.cuda.is_available(), reason="to see it fail, run without a CUDA device")
def test_a_missing_gpu_is_never_replaced_by_the_cpu() -> None:
    with pytest.raises(DeviceError, match="'cuda' is not available on this machine") as caught:
        load_clip("RN-small:random", "cuda")
    assert "--device cpu" in caught.value.hint


def test_what_the_hubs_client_says_is_shown_once_by_our_own_handler(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = logging.getLogger("huggingface_hub")
    assert log.handlers == []
    log.getChild("utils").warning("Retrying in 1s")
    assert [record.message for record in caplog.records] == ["Retrying in 1s"]


def test_loading_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    """open_clip logs to the root logger; what matters of it is raised or recorded."""
    root = logging.getLogger()
    level = root.level
    load_clip("ViT-small-eos:random")
    assert not caplog.records
    assert root.level == level


def test_load_clip_of_the_package() -> None:
    model, preprocess, tokenizer = pipeline.load_clip("RN-small:random")
    with torch.inference_mode():
        image = model.encode_image(preprocess(Image.new("RGB", (90, 50)))[None])
        assert image.shape == model.encode_text(tokenizer(["a cat"])).shape == (1, 16)
