"""What weights were trained with: of every tag that open_clip knows, of hub, folder and file."""

from __future__ import annotations

import json
from collections.abc import Callable

import open_clip
import pytest
import torch
from open_clip.transformer import QuickGELU
from torch import nn

from pipeline.base.errors import ModelError
from pipeline.clip.model import load_clip
from pipeline.clip.model_id import ModelId, parse_model_id
from pipeline.clip.network import build_network, find_towers, heed_open_clip, name_activations
from pipeline.clip.setup import resolve_tag

TAGS = open_clip.list_pretrained()
CONTRADICTED = {("roberta-ViT-B-32", "laion2b_s12b_b32k")}
"""The architecture says QuickGELU and the table does not: only the hub's configuration can tell."""


def test_every_tag_is_set_up_as_the_table_says() -> None:
    assert len(TAGS) > 190
    for arch, tag in TAGS:
        if (arch, tag) in CONTRADICTED:
            continue
        said = open_clip.get_pretrained_cfg(arch, tag)
        blueprint = resolve_tag(arch, tag)
        setup, image = blueprint.setup, blueprint.setup.image
        assert setup.quick_gelu == blueprint.config["quick_gelu"] == said.get("quick_gelu", False)
        assert (image.mean, image.std) == (said["mean"], said["std"]), (arch, tag)
        assert (image.interpolation, image.resize_mode) == (
            said["interpolation"],
            said["resize_mode"],
        )
        config = open_clip.get_model_config(arch)
        size = config["vision_cfg"].get("image_size", 224)
        assert image.size_px == (tuple(size) if isinstance(size, list) else (size, size))
        assert {k: v for k, v in blueprint.config.items() if k != "quick_gelu"} == {
            k: v for k, v in config.items() if k != "quick_gelu"
        }


def test_where_table_and_architecture_contradict_each_other_the_way_out_is_named() -> None:
    for arch, tag in CONTRADICTED:
        with pytest.raises(ModelError, match="open_clip contradicts itself") as caught:
            resolve_tag(arch, tag)
        assert "hf-hub:laion/CLIP-ViT-B-32-roberta-base-laion2B-s12B-b32k" in caught.value.hint


def _forced() -> list[tuple[str, str]]:
    """One tag of each architecture whose plain name builds GELU and whose weights need QuickGELU."""
    found = {}
    for arch, tag in TAGS:
        needs = open_clip.get_pretrained_cfg(arch, tag).get("quick_gelu", False)
        if needs and not open_clip.get_model_config(arch).get("quick_gelu", False):
            found[arch] = tag
    return list(found.items())


@pytest.mark.parametrize(("arch", "tag"), _forced())
def test_a_plain_name_builds_what_the_quickgelu_name_builds(arch: str, tag: str) -> None:
    with torch.device("meta"):
        model = build_network(resolve_tag(arch, tag))
        twin = open_clip.get_model_config(f"{arch}-quickgelu")
        kind = open_clip.CustomTextCLIP if twin.pop("custom_text", False) else open_clip.CLIP
        theirs = kind(**twin)
    assert [(n, type(m)) for n, m in model.named_modules()] == [
        (n, type(m)) for n, m in theirs.named_modules()
    ]
    text = find_towers(model)["text"][0]
    assert any(isinstance(m, QuickGELU) for m in text.modules())
    assert not any(isinstance(m, nn.GELU) for m in model.modules())


def test_weights_trained_without_quickgelu_are_not_run_with_it() -> None:
    with pytest.raises(ModelError, match="were not trained with QuickGELU") as caught:
        parse_model_id("ViT-B-32-quickgelu:laion2b_s34b_b79k")
    assert "ViT-B-32:laion2b_s34b_b79k" in caught.value.hint


@pytest.mark.parametrize("name", ["ViT-B-32:laion2b-s34b-b79k", "ViT-B-32:LAION2B_s34b_b79k"])
def test_tags_are_spelled_as_open_clip_takes_them(name: str) -> None:
    assert parse_model_id(name) == ModelId(name, "tag", "ViT-B-32", "laion2b_s34b_b79k")


def test_a_tower_that_ignores_the_flag_is_refused(add_tags: Callable[..., None]) -> None:
    add_tags("convnext_base", new={"hf_hub": "a/b/", "quick_gelu": True})
    with pytest.raises(ModelError, match="open_clip contradicts itself") as caught:
        resolve_tag("convnext_base", "new")
    assert "hf-hub:a/b" in caught.value.hint


def test_activations_are_named_by_looking(small_models: None) -> None:
    clip = load_clip("RN-small:random")
    assert clip.activations == {"visual": "ReLU", "text": "GELU"}
    gated = nn.Sequential(nn.SiLU(), nn.GELU(approximate="tanh"), nn.Softmax(dim=1))
    assert name_activations([gated]) == "GELU(tanh)+SiLU"
    assert name_activations([nn.Linear(1, 1)]) == "none"


def test_the_identity_of_a_run_says_how_the_model_is_set_up() -> None:
    one, other = (load_clip(f"{arch}:random").identity() for arch in ("ViT-small", "RN-small"))
    assert one["image_size_px"] == [48, 48] and other["image_size_px"] == [64, 64]
    assert one["image_activation"] == "GELU" and other["image_activation"] == "ReLU"
    assert (one["interpolation"], one["resize_mode"]) == ("bicubic", "shortest")
    assert json.loads(json.dumps(one)) == one


def test_what_open_clip_warns_of_is_an_error(open_clip_lines: list[str]) -> None:
    with pytest.raises(ModelError, match="not sure of X: Model configuration not found"):  # noqa: SIM117
        with heed_open_clip("X"):
            open_clip.get_tokenizer("no-such-model")  # it would take a default one
    assert len(open_clip_lines) == 1
    open_clip_lines.clear()
